#!/usr/bin/python3
"""Checks the rules of the house that a program can check (CONTRIBUTING.md has them in words).

Usage: rules.py [ROOT]. Inputs: the tree at ROOT, this repository where none is given. Outputs: a line a
problem, "FILE:LINE: rule: what is wrong", and status 1; nothing and 0 where there is none.
Trust: the tree is the repository's own. A tool that is missing is a problem: no rule is left out in silence.
"""

import io
import os
import re
import subprocess
import sys
import tokenize
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from c_source import CSource

Problem = namedtuple("Problem", "path line rule text")

TOP_FOLDERS = ("bpf", "doc", "include", "src", "tests", "vmlinux", ".ci")
FILE_LINES_MAX = 500
LINE_COLUMNS_MAX = 110
TAB_COLUMNS = 8

# As in the Makefile; a header alone does not use what it has.
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-function")

# What a room of src/ may include besides itself, include/ and the system: another room, or one header of it.
# bpf -> consume -> model -> snapshot -> outputs: nothing upstream of a room's own place is in its list.
ROOMS = {
    "base": (),
    "consume": ("base",),
    "unwind": ("base",),
    "model": ("base", "consume"),
    "symbols": ("base", "model", "unwind"),
    "report": ("base", "model/snapshot.h", "model/kinds.h"),
    "load": ("base", "symbols", "unwind", "leftopen.skel.h"),
    "cli": ("base", "consume", "load", "model", "report", "symbols", "unwind"),
}
# The same for the folders beside src/.
FOLDERS = {"include": (), "vmlinux": (), "bpf": ("include", "vmlinux")}
GENERATED = ("leftopen.skel.h",)

# Reserved names that one defines because the system asks for them.
FEATURE_MACROS = {"_GNU_SOURCE", "_DEFAULT_SOURCE", "_POSIX_C_SOURCE", "_FILE_OFFSET_BITS"}


class Tree:
    """The files of the house, read once each. Folders that a build or a tool makes are not part of it."""

    def __init__(self, root):
        self.root = root
        self._texts = {}
        self._sources = {}
        self.files = sorted(self._find())

    def _find(self):
        for name in os.listdir(self.root):
            if os.path.isfile(os.path.join(self.root, name)):
                yield name
        for top in TOP_FOLDERS:
            for folder, names, files in os.walk(os.path.join(self.root, top)):
                names[:] = [name for name in names if name not in ("__pycache__", ".pytest_cache")]
                for file in files:
                    if not file.endswith(".pyc"):
                        yield os.path.relpath(os.path.join(folder, file), self.root)

    def text(self, path):
        """The file as text; bytes that are not UTF-8 come as lone surrogates."""
        if path not in self._texts:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="surrogateescape",
                      newline="") as file:
                self._texts[path] = file.read()
        return self._texts[path]

    def source(self, path):
        """The file as C."""
        if path not in self._sources:
            self._sources[path] = CSource(self.text(path))
        return self._sources[path]

    def exists(self, path):
        """Whether a file of the tree has that name."""
        return path in self.files

    def find(self, *endings, under=""):
        """The files below a folder whose names end so."""
        return [path for path in self.files if path.startswith(under) and path.endswith(endings)]


def run(tree, command):
    """Run a tool in the tree; return (status, what it said), or (None, why) where it is not there."""
    try:
        done = subprocess.run(command, cwd=tree.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        return None, "%s: %s (tests/packages installs it)" % (command[0], error.strerror)
    return done.returncode, done.stdout.decode("utf-8", "replace")


_NOT_FORMATTED = re.compile(r"^([^:\n]+):(\d+):\d+: error: code should be clang-formatted", re.MULTILINE)


def check_layout(tree):
    """C is laid out as clang-format lays it out (`make format`); tables are at most 110 columns wide."""
    files = tree.find(".c", ".h")
    if files:
        status, said = run(tree, ["clang-format-14", "--dry-run", "--Werror", *files])
        places = set(_NOT_FORMATTED.findall(said))
        for path, line in places:
            yield Problem(path, int(line), "layout", "is not as clang-format has it (make format)")
        if status != 0 and not places:
            yield Problem(".clang-format", 1, "layout", said.strip())
    for path in tree.find(".def"):
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if len(line.expandtabs(TAB_COLUMNS)) > LINE_COLUMNS_MAX:
                yield Problem(path, number, "layout", "is wider than %d columns" % LINE_COLUMNS_MAX)


def _resolve(tree, path, include):
    """Return the tree's file or generated header that an include of `path` means, None for the system's."""
    places = [os.path.dirname(path), "src", "include"]
    if path.startswith("bpf/"):
        places += ["vmlinux", "bpf"]
    for place in places:
        candidate = os.path.normpath(os.path.join(place, include.name))
        if tree.exists(candidate):
            return candidate
    return include.name if include.name in GENERATED else None


def _place(path):
    """Return (the list of what the file may include, what it may be called in such lists)."""
    parts = path.split("/")
    if parts[0] != "src":
        return FOLDERS.get(parts[0]), parts[0]
    room = parts[1] if len(parts) > 2 else None
    return ROOMS.get(room), room


def check_includes(tree):
    """An include points downstream: each room has the list of what it may know."""
    for path in tree.find(".c", ".h", ".def"):
        if path.startswith("tests/"):  # a test may know everything
            continue
        allowed, place = _place(path)
        if allowed is None:
            yield Problem(path, 1, "includes", "is in no room that tests/check/rules.py knows")
            continue
        for include in tree.source(path).includes():
            target = _resolve(tree, path, include)
            if target is None:
                if include.quoted:
                    yield Problem(path, include.line, "includes",
                                  '"%s" is no file of this tree' % include.name)
                continue
            if not include.quoted:
                yield Problem(path, include.line, "includes",
                              "<%s> is this tree's own: use quotation marks" % include.name)
            own = target.startswith("src/%s/" % place) if path.startswith("src/") else False
            name = target[len("src/"):] if target.startswith("src/") else target
            known = own or name.split("/")[0] in (place,) + allowed or name in allowed
            if not known and not (path.startswith("src/") and target.startswith("include/")):
                yield Problem(path, include.line, "includes",
                              "%s points upstream: %s may not know it" % (include.name, place))


def _compile_alone(tree, path):
    if path.startswith(("bpf/", "vmlinux/")):
        command = ["clang-14", "-target", "bpf", "-D__TARGET_ARCH_x86", *WARNINGS, "-Wno-unused-parameter",
                   "-Ivmlinux", "-Iinclude", "-Ibpf",
                   "-idirafter", "/usr/include/%s-linux-gnu" % os.uname().machine]
    else:
        command = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", '-DLEFTOPEN_VERSION=""', '-DSOURCE_DIR=""', *WARNINGS,
                   "-Iinclude", "-Isrc", "-iquote", os.path.dirname(path) or "."]
    # Included from a file and not given as one: "#pragma once in main file" and the like are no matter.
    return path, run(tree, [*command, "-fsyntax-only", "-x", "c", "-include", path, os.devnull])


def check_headers(tree):
    """Each header compiles alone."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (status, said) in pool.map(lambda path: _compile_alone(tree, path), tree.find(".h")):
            if status != 0:
                first = next((line for line in said.splitlines() if "error" in line), said.strip())
                yield Problem(path, 1, "headers", "does not compile alone: " + first)


def check_docstrings(tree):
    """Each function that is not static is declared in a header of its room, with a docstring there."""
    declared = {}
    for path in tree.find(".h", under="src/"):
        for function in tree.source(path).functions_declared():
            if function.static:
                continue
            declared.setdefault(os.path.dirname(path), set()).add(function.name)
            if not function.docstring:
                yield Problem(path, function.line, "docstrings",
                              "%s() has no docstring (/** ... */) before it" % function.name)
    defined = {}
    for path in tree.find(".c", under="src/"):
        for function in tree.source(path).functions_defined():
            if function.static or function.name == "main":
                continue
            room = os.path.dirname(path)
            defined.setdefault(room, set()).add(function.name)
            if function.name not in declared.get(room, ()):
                yield Problem(path, function.line, "docstrings",
                              "%s() is neither static nor declared in a header of its room" % function.name)
    for path in tree.find(".h", under="src/"):
        for function in tree.source(path).functions_declared():
            if not function.static and function.name not in defined.get(os.path.dirname(path), ()):
                yield Problem(path, function.line, "docstrings",
                              "%s() is declared, and nothing defines it" % function.name)


def check_size(tree):
    """No source file has more than 500 lines."""
    for path in tree.find(".c", ".h", ".def", ".py"):
        lines = tree.text(path).count("\n")
        if lines > FILE_LINES_MAX:
            yield Problem(path, FILE_LINES_MAX + 1, "size",
                          "has %d lines, %d are the most: a second topic is a second file" %
                          (lines, FILE_LINES_MAX))


def check_banner(tree):
    """A file says first what it is for; a .c includes its own header first."""
    for path in tree.find(".c", ".h", ".def"):
        source = tree.source(path)
        if not source.text.startswith("/*"):
            yield Problem(path, 1, "banner", "does not begin with a comment that says what it is for")
        own = path[:-2] + ".h"
        if not path.endswith(".c") or not tree.exists(own):
            continue
        includes = source.includes()
        name = own[len("src/"):] if own.startswith("src/") else os.path.basename(own)
        if not includes or includes[0].name != name:
            yield Problem(path, includes[0].line if includes else 1, "banner",
                          'does not include its own header "%s" first' % name)


_RESERVED = r"(?:_[A-Z]|__)\w*"
_DEFINES = re.compile(
    r"#[ \t]*define[ \t]+(?P<macro>%(r)s)|"
    r"\b(?:struct|union|enum)\s+(?P<tag>%(r)s)\s*[{;]|"
    # A declarator: after a type's name or a *, before what ends a declarator.
    r"(?P<before>\w+|\*)\s*\b(?P<name>%(r)s)\s*(?=[=;,\[({)])" % {"r": _RESERVED})
# Not a declarator's name: what the compiler and libbpf's headers give, wherever it stands; the number of a call that is
# younger than the system's headers, which may have it.
_GIVEN = re.compile(r"__(?:NR_\w+|attribute|extension|typeof|asm|volatile|inline|int128|builtin_\w+|sync_\w+|"
                    r"atomic_\w+|always_inline|noinline|weak|hidden|uint|type|array|ulong|ksym|kconfig|"
                    r"[us](?:8|16|32|64)|[bl]e(?:16|32|64)|FILE|LINE|func|COUNTER)(?:__)?")
_NO_TYPES = {"return", "else", "case", "goto", "do", "sizeof", "struct", "union", "enum", "define", "ifdef",
             "ifndef", "defined", "undef", "if", "elif"}


def check_names(tree):
    """No name that the language keeps for itself (_Upper, __any) is defined."""
    for path in tree.find(".c", ".h", ".def"):
        if path.startswith("vmlinux/"):  # the kernel's own names
            continue
        source = tree.source(path)
        for match in _DEFINES.finditer(source.code):
            name = match.group("macro") or match.group("tag") or match.group("name")
            if name in FEATURE_MACROS or _GIVEN.fullmatch(name) or match.group("before") in _NO_TYPES:
                continue
            yield Problem(path, source.line(match.start()), "names", "%s is a reserved name" % name)


_PRINTS = re.compile(r"(?<![\w.>])(v?printf|puts|putchar|perror|psignal|v?errx?|v?warnx?|v?syslog|"
                     r"exit|quick_exit|abort)\s*\(|\b(stdout|stderr)\b")
_PRINTS_TO_STREAM = re.compile(r"(?<![\w.>])(v?fprintf|fputs|fputc|putc|fwrite|v?dprintf)\s*\(")


def check_printing(tree):
    """Below cli/ nothing is printed and nothing ends the process; report/ writes to the stream it is given."""
    for path in tree.find(".c", ".h", under="src/"):
        if path.startswith("src/cli/"):
            continue
        source = tree.source(path)
        matches = list(_PRINTS.finditer(source.code))
        if not path.startswith("src/report/"):
            matches += _PRINTS_TO_STREAM.finditer(source.code)
        for match in matches:
            name = next(group for group in match.groups() if group)
            yield Problem(path, source.line(match.start()), "printing",
                          "%s: only cli/ speaks to the user and ends the process" % name)


# In pieces, so that this file does not have them.
_LEFT_UNDONE = re.compile(r"\b(%s)\b" % "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX")))


def check_marks(tree):
    """Nothing is left undone in the source: it is done, or an issue says it."""
    for path in tree.files:
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            found = _LEFT_UNDONE.search(line)
            if found:
                yield Problem(path, number, "marks", "%s: do it, or write an issue" % found.group())


def _lines_indented_by_tabs(text):
    """The lines of Python that a tab indents; a string may hold what it likes."""
    try:
        return [token.start[0] for token in tokenize.generate_tokens(io.StringIO(text).readline)
                if token.type == tokenize.INDENT and "\t" in token.string]
    except (tokenize.TokenError, SyntaxError):  # which check_scripts() tells
        return []


def check_space(tree):
    """No white space at a line's end, the tabs where .editorconfig has them, a newline at the end, UTF-8."""
    for path in tree.files:
        text = tree.text(path)
        if path.startswith("tests/golden/"):  # what the program printed, to the byte
            continue
        if "\r" in text or re.search("[\udc80-\udcff]", text):
            yield Problem(path, 1, "space", "is not UTF-8 with plain line ends")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield Problem(path, text.count("\n") + 1, "space", "does not end in one newline")
        for number, line in enumerate(text.split("\n"), 1):
            if line.rstrip() != line.rstrip("\r"):
                yield Problem(path, number, "space", "ends in white space")
            if "\t" in line and path.endswith((".md", ".json", ".yml", ".yaml")):
                yield Problem(path, number, "space", "has a tab")
        if path.endswith(".py"):
            for number in _lines_indented_by_tabs(text):
                yield Problem(path, number, "space", "has a tab")


def check_scripts(tree):
    """Shell scripts are such, Python compiles, and what begins with #! can be run."""
    for path in tree.files:
        text = tree.text(path)
        first = text.split("\n", 1)[0]
        shell = re.match(r"#!\s*/(?:usr/)?bin/(?:env )?(sh|bash|dash)\b", first)
        if shell:
            status, said = run(tree, [shell.group(1), "-n", path])
            if status != 0:
                yield Problem(path, 1, "scripts", said.strip())
        if first.startswith("#!") and not os.access(os.path.join(tree.root, path), os.X_OK):
            yield Problem(path, 1, "scripts", "begins with #! and cannot be run (chmod +x)")
        if path.endswith(".py") or re.match(r"#!.*\bpython3?\b", first):
            try:
                compile(text, path, "exec")
            except (SyntaxError, ValueError) as error:
                yield Problem(path, getattr(error, "lineno", 1) or 1, "scripts", "is no Python: %s" % error)


RULES = (check_layout, check_includes, check_headers, check_docstrings, check_size, check_banner, check_names,
         check_printing, check_marks, check_space, check_scripts)


def check(root):
    """Return every problem of the tree at `root`, by file and line."""
    tree = Tree(root)
    return sorted({problem for rule in RULES for problem in rule(tree)})


def main(arguments):
    """Print the problems; return the exit status."""
    if len(arguments) > 1:
        print("usage: rules.py [ROOT]", file=sys.stderr)
        return 2
    here = os.path.dirname(os.path.abspath(__file__))
    problems = check(arguments[0] if arguments else os.path.dirname(os.path.dirname(here)))
    for problem in problems:
        print("%s:%d: %s: %s" % problem)
    if problems:
        sys.stdout.flush()
        print("%d problem%s with the rules of the house (CONTRIBUTING.md)" %
              (len(problems), "" if len(problems) == 1 else "s"), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
