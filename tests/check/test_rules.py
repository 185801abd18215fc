"""The checker of the house's rules is checked: a small tree that keeps all of them, and one bad change for
each thing that rules.py has to find."""

import os
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RULES = os.path.join(HERE, "rules.py")

GOOD = {
    "include/event_abi.h": """\
/*
 * What both sides agree on.
 */
#ifndef LEFTOPEN_EVENT_ABI_H
#define LEFTOPEN_EVENT_ABI_H

#include <linux/types.h>

struct event {
	__u32 type;
	const __u8 *bytes;
};

#endif
""",
    "include/kinds.def": "/* The table. */\nKIND(FD)\n",
    "vmlinux/vmlinux.h": """\
/*
 * Kernel types.
 */
#ifndef LEFTOPEN_VMLINUX_H
#define LEFTOPEN_VMLINUX_H

typedef unsigned int __u32;
struct __kernel_own {
	__u32 value;
};

#endif
""",
    "bpf/maps.bpf.h": """\
/*
 * Maps.
 */
#ifndef LEFTOPEN_BPF_MAPS_H
#define LEFTOPEN_BPF_MAPS_H

#include "vmlinux.h"

static inline __u32 maps_first(struct __kernel_own *own)
{
	return own->value;
}

#endif
""",
    "bpf/open.bpf.c": '/*\n * Programs.\n */\n#include "maps.bpf.h"\n',
    "src/base/text.h": """\
/*
 * Strings.
 */
#ifndef LEFTOPEN_BASE_TEXT_H
#define LEFTOPEN_BASE_TEXT_H

#include <stddef.h>

typedef int text_filter_function(int character);

/** @return how long it is */
size_t text_length(const char *text) __attribute__((nonnull(1)));

/** @return whether it is a digit */
text_filter_function text_is_digit;

#endif
""",
    "src/base/text.c": """\
/*
 * Strings. See text.h.
 */
#include "base/text.h"

#include <string.h>

static const char *const names[] = {"printf(", "exit(1)"};

static size_t helper(const char *text)
{
	return strlen(text) + sizeof(names); /* perror() is not for here */
}

size_t text_length(const char *text)
{
	return helper(text);
}

int text_is_digit(int character)
{
	return character >= '0' && character <= '9';
}
""",
    "src/model/model.h": """\
/*
 * The model.
 */
#ifndef LEFTOPEN_MODEL_MODEL_H
#define LEFTOPEN_MODEL_MODEL_H

/** Begins. */
void model_begin(void);

#endif
""",
    "src/model/model.c": """\
/*
 * The model. See model.h.
 */
#include "model/model.h"

#include "base/text.h"

void model_begin(void)
{
}
""",
    "src/model/snapshot.h": """\
/*
 * The snapshot.
 */
#ifndef LEFTOPEN_MODEL_SNAPSHOT_H
#define LEFTOPEN_MODEL_SNAPSHOT_H

struct snapshot {
	int count;
};

#endif
""",
    "src/report/text.c": """\
/*
 * The report.
 */
#include <stdio.h>

#include "model/snapshot.h"

static void show(const struct snapshot *snapshot, FILE *stream)
{
	fprintf(stream, "%d", snapshot->count);
}

static void (*const writers[])(const struct snapshot *, FILE *) = {show};
""",
    "src/load/loader.c": '/*\n * Loads.\n */\n#include "leftopen.skel.h"\n',
    "src/cli/main.c": """\
/*
 * The commands.
 */
#include <stdio.h>

#include "model/model.h"

int main(void)
{
	model_begin();
	puts("done");
	return 0;
}
""",
    "tests/run": "#!/bin/sh\nexec true\n",
    "tests/check.py": '"""Checks."""\n\nprint("ok")\n',
    "doc/text.json": "{}\n",
    "README.md": "# Title\n",
}


def make_tree(folder, changes=()):
    """Write the good tree, changed, below `folder`; a script can be run."""
    shutil.copy(os.path.join(ROOT, ".clang-format"), folder)
    for path, text in {**GOOD, **dict(changes)}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    for script in folder.glob("tests/run"):
        script.chmod(0o755)


def check(folder, env=None):
    """Run the checker; return (status, its lines)."""
    done = subprocess.run([sys.executable, RULES, str(folder)], stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=120, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()


def changed(path, old, new):
    """The good file with one place changed."""
    assert GOOD[path].count(old) == 1
    return {path: GOOD[path].replace(old, new)}


def in_main(line):
    """A line more in a function of src/base/text.c, and its number there."""
    return changed("src/base/text.c", "\treturn helper(text);\n", "\t%s\n\treturn helper(text);\n" % line)


def test_a_tree_that_keeps_all_rules(tmp_path):
    make_tree(tmp_path)
    assert check(tmp_path) == (0, [])


BAD = {
    "brace on the wrong line": (
        changed("src/model/model.c", "(void)\n{", "(void) {"), "src/model/model.c:8: layout: "),
    "a table that is too wide": (
        {"include/kinds.def": "/* The table. */\n%s\n" % ("K" * 111)}, "include/kinds.def:2: layout: "),

    "base knows the model": (
        changed("src/base/text.c", "<string.h>\n", '<string.h>\n\n#include "model/model.h"\n'),
        "src/base/text.c:8: includes: model/model.h points upstream"),
    "a header points upstream too": (
        changed("src/base/text.h", "<stddef.h>\n", '<stddef.h>\n\n#include "model/model.h"\n'),
        "src/base/text.h:9: includes: model/model.h points upstream"),
    "the model knows a report": (
        {**changed("src/model/model.c", '"base/text.h"\n', '"base/text.h"\n#include "report/report.h"\n'),
         "src/report/report.h": "/* A report. */\nstruct report;\n"},
        "src/model/model.c:7: includes: report/report.h points upstream"),
    "a report knows more than the snapshot": (
        changed("src/report/text.c", '"model/snapshot.h"', '"model/model.h"\n#include "model/snapshot.h"'),
        "src/report/text.c:6: includes: model/model.h points upstream"),
    "own header in angle brackets, upstream": (
        changed("src/base/text.c", "<string.h>\n", "<string.h>\n#include <model/model.h>\n"),
        "src/base/text.c:7: includes: model/model.h points upstream"),
    "own header in angle brackets": (
        changed("src/cli/main.c", '"model/model.h"', "<model/model.h>"),
        "src/cli/main.c:6: includes: <model/model.h> is this tree's own"),
    "a path around the rooms": (
        changed("src/base/text.c", "<string.h>\n", '<string.h>\n\n#include "../model/model.h"\n'),
        "src/base/text.c:8: includes: ../model/model.h points upstream"),
    "the skeleton outside load": (
        changed("src/model/model.c", '"base/text.h"\n', '"base/text.h"\n#include "leftopen.skel.h"\n'),
        "src/model/model.c:7: includes: leftopen.skel.h points upstream"),
    "include knows src": (
        changed("include/event_abi.h", "<linux/types.h>\n", '<linux/types.h>\n\n#include "base/text.h"\n'),
        "include/event_abi.h:9: includes: base/text.h points upstream"),
    "a program knows src": (
        changed("bpf/open.bpf.c", '"maps.bpf.h"\n', '"maps.bpf.h"\n#include "base/text.h"\n'),
        "bpf/open.bpf.c:5: includes: base/text.h points upstream"),
    "vmlinux knows include": (
        changed("vmlinux/vmlinux.h", "typedef", '#include "event_abi.h"\n\ntypedef'),
        "vmlinux/vmlinux.h:7: includes: event_abi.h points upstream"),
    "a header that is not there": (
        changed("src/model/model.c", '"base/text.h"', '"base/texts.h"'),
        'src/model/model.c:6: includes: "base/texts.h" is no file'),
    "a room without a list": (
        {"src/attic/old.c": "/*\n * Old.\n */\n"}, "src/attic/old.c:1: includes: is in no room"),
    "a file in no room": (
        {"src/old.c": "/*\n * Old.\n */\n"}, "src/old.c:1: includes: is in no room"),

    "a header that needs another one": (
        changed("src/base/text.h", "#include <stddef.h>\n", "struct text;\n"),
        "src/base/text.h:1: headers: does not compile alone"),
    "a BPF header that needs another one": (
        changed("bpf/maps.bpf.h", '#include "vmlinux.h"\n\n', ""),
        "bpf/maps.bpf.h:1: headers: does not compile alone"),

    "no docstring": (
        changed("src/model/model.h", "/** Begins. */\n", ""),
        "src/model/model.h:7: docstrings: model_begin() has no docstring"),
    "a comment that is no docstring": (
        changed("src/model/model.h", "/** Begins. */", "/* Begins. */"),
        "src/model/model.h:8: docstrings: model_begin() has no docstring"),
    "one docstring for two": (
        {**changed("src/model/model.h", "void model_begin(void);\n",
                   "void model_begin(void);\nvoid model_end(void);\n"),
         **changed("src/model/model.c", "void model_begin(void)\n{\n}\n",
                   "void model_begin(void)\n{\n}\n\nvoid model_end(void)\n{\n}\n")},
        "src/model/model.h:9: docstrings: model_end() has no docstring"),
    "no docstring, declared by a type": (
        changed("src/base/text.h", "/** @return whether it is a digit */\n", ""),
        "src/base/text.h:14: docstrings: text_is_digit() has no docstring"),
    "in no header": (
        changed("src/base/text.c", "static size_t helper", "size_t helper"),
        "src/base/text.c:10: docstrings: helper() is neither static nor declared"),
    "in the header of another room": (
        {"src/report/end.c": "/*\n * The end.\n */\nvoid model_begin(void)\n{\n}\n"},
        "src/report/end.c:4: docstrings: model_begin() is neither static nor declared"),
    "declared only": (
        changed("src/model/model.h", "#endif\n", "/** Ends. */\nvoid model_end(void);\n\n#endif\n"),
        "src/model/model.h:11: docstrings: model_end() is declared, and nothing defines it"),

    "a long C file": (
        {"src/cli/long.c": "/*\n * Long.\n */\n" + "struct a;\n" * 498}, "src/cli/long.c:501: size: has 501"),
    "a long Python file": (
        {"tests/long.py": "x = 1\n" * 501}, "tests/long.py:501: size: has 501"),

    "no banner": (
        changed("src/cli/main.c", "/*\n * The commands.\n */\n", ""), "src/cli/main.c:1: banner: does not begin"),
    "no banner in a test": (
        {"tests/unit/test_x.c": "#include <stdio.h>\n"}, "tests/unit/test_x.c:1: banner: does not begin"),
    "own header later": (
        changed("src/base/text.c", '#include "base/text.h"\n\n#include <string.h>\n',
                '#include <string.h>\n\n#include "base/text.h"\n'),
        'src/base/text.c:4: banner: does not include its own header "base/text.h" first'),
    "own header not at all": (
        changed("src/model/model.c", '#include "model/model.h"\n\n', ""),
        'src/model/model.c:4: banner: does not include its own header "model/model.h" first'),

    "a reserved guard": (
        changed("src/model/model.h", "#define LEFTOPEN", "#define _LEFTOPEN"),
        "src/model/model.h:5: names: _LEFTOPEN_MODEL_MODEL_H is a reserved name"),
    "a reserved tag": (
        changed("src/model/snapshot.h", "struct snapshot {", "struct __snapshot {"),
        "src/model/snapshot.h:7: names: __snapshot is a reserved name"),
    "a reserved function": (
        {**changed("src/base/text.c", "size_t helper(", "size_t __helper(")},
        "src/base/text.c:10: names: __helper is a reserved name"),
    "a reserved variable": (
        in_main("int _Count = 0;"), "src/base/text.c:17: names: _Count is a reserved name"),

    "printf": (in_main('printf("x");'), "src/base/text.c:17: printing: printf"),
    "fprintf to stderr": (in_main('fprintf(stderr, "x");'), "src/base/text.c:17: printing: stderr"),
    "fputs to any stream": (in_main("fputs(text, log);"), "src/base/text.c:17: printing: fputs"),
    "perror": (in_main("perror(text);"), "src/base/text.c:17: printing: perror"),
    "puts": (in_main("puts(text);"), "src/base/text.c:17: printing: puts"),
    "exit": (in_main("exit(1);"), "src/base/text.c:17: printing: exit"),
    "a report on standard output": (
        changed("src/report/text.c", "fprintf(stream,", "fprintf(stdout,"),
        "src/report/text.c:10: printing: stdout"),

    "something left undone": (
        {"README.md": "# Title\n\n%s later\n" % ("TO" + "DO")}, "README.md:3: marks: "),
    "something left to mend": (
        in_main("/* %s */" % ("FIX" + "ME")), "src/base/text.c:17: marks: "),

    "white space at the end": ({"README.md": "# Title \n"}, "README.md:1: space: ends in white space"),
    "a tab in Python": (
        {"tests/check.py": "if True:\n\tprint(1)\n"}, "tests/check.py:2: space: has a tab"),
    "a tab in JSON": ({"doc/text.json": "{\n\t}\n"}, "doc/text.json:2: space: has a tab"),
    "no newline": ({"README.md": "# Title"}, "README.md:1: space: does not end in one newline"),
    "empty lines at the end": ({"README.md": "# Title\n\n"}, "README.md:3: space: does not end in one newline"),
    "DOS": ({"README.md": "# Title\r\n"}, "README.md:1: space: is not UTF-8 with plain line ends"),
    "Latin-1": ({"README.md": b"# T\xeftle\n"}, "README.md:1: space: is not UTF-8 with plain line ends"),

    "shell that does not parse": ({"tests/run": "#!/bin/sh\nif true\n"}, "tests/run:1: scripts: "),
    "Python that does not compile": ({"tests/check.py": "def f(:\n"}, "tests/check.py:1: scripts: is no Python"),
    "a script that cannot be run": ({".ci/run": "#!/bin/bash\ntrue\n"}, ".ci/run:1: scripts: "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_tree_that_breaks_a_rule(tmp_path, name):
    changes, expected = BAD[name]
    make_tree(tmp_path, changes)
    status, lines = check(tmp_path)
    assert status == 1
    assert [line for line in lines if line.startswith(expected)], lines
    # What is wrong is told once: other rules find nothing in it, but for what the change itself brings.
    rule = expected.split(": ")[1]
    others = [line for line in lines if line.split(": ")[1] != rule]
    assert len(others) <= 1, lines


def test_what_a_build_makes_is_not_looked_at(tmp_path):
    make_tree(tmp_path, {"build/src/base/x.c": "#include \"nowhere.h\"\n", "tests/__pycache__/x.py": "def f(:\n"})
    assert check(tmp_path) == (0, [])


def test_a_missing_tool_is_a_problem(tmp_path):
    make_tree(tmp_path)
    (tmp_path / "no-tools").mkdir()
    status, lines = check(tmp_path, env={"PATH": str(tmp_path / "no-tools")})
    assert status == 1
    for rule, tool in (("layout", "clang-format"), ("headers", "clang-14"), ("headers", "gcc"),
                       ("scripts", "sh")):
        assert [line for line in lines if ": %s: " % rule in line and tool in line], (rule, tool, lines)
