"""Names that programs choose, and files that are not what they seem.

What a process calls itself, the paths that it opens and where its code says that it comes from go to a terminal and
into JSON: escaped there, valid here.
"""

import json
import os
import random
import re
import shutil

import leftopen
import processes

# A newline, a terminal's escape sequences (also the C1 form of one), markup, invalid UTF-8, an override of the
# writing direction, a backslash and a quote.
HOSTILE = b"\x1b]0;t\x07\x1b[2J\n<b>&'\"\\\xff\xc3\xe2\x80\xae\xc2\x9b1m"
MARKS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\u200e\u200f"

PROGRAM = """
import ctypes, os, sys
hostile = bytes.fromhex(sys.argv[1])
os.chdir(hostile)
ctypes.CDLL(None).prctl(15, hostile[-15:], 0, 0, 0)  # PR_SET_NAME
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
# Three times, each in a test: a leak, whose tests are named.
source = '''
for number in range(3):
    os.putenv(b"PYTEST_CURRENT_TEST", b"%d " % number + hostile + b" (call)")
    os.open(b"file " + hostile, os.O_RDONLY | os.O_CREAT)
'''
name = hostile.decode("utf-8", "replace").replace("\\0", "")
exec(compile(source, name + ".py", "exec"))
os.mkfifo(b"fifo " + hostile)
os.open(b"fifo " + hostile, os.O_RDWR)
import mmap
with open(b"file " + hostile, "wb+") as file:
    file.truncate(8192)
    kept = mmap.mmap(file.fileno(), 8192)
"""


def assert_printable(data, colour=False):
    """Check that bytes are a text that does nothing to a terminal."""
    text = data.decode("utf-8")
    if colour:
        text = re.sub("\x1b\\[[0-9;]*m", "", text)
    bad = sorted({char for char in text
                  if (char < " " and char != "\n") or "\x7f" <= char <= "\x9f" or char in MARKS})
    assert not bad, (bad, text)
    return text


def run_hostile(folder, *options):
    """Run PROGRAM from a script and an executable with hostile names; return subprocess's result."""
    place = os.path.join(os.fsencode(folder), HOSTILE)
    os.mkdir(place)
    script = os.path.join(os.fsencode(folder), b"script " + HOSTILE)
    with open(script, "w", encoding="ascii") as file:
        file.write(PROGRAM)
    program = os.path.join(os.fsencode(folder), b"program " + HOSTILE)
    shutil.copy(os.path.realpath(leftopen.PYTHON), program)
    return processes.leftopen_raw("run", *options, "--", program, script, HOSTILE.hex(), HOSTILE,
                                  cwd=folder, env={**os.environ, "PYTHONHOME": "/usr"})


def test_text_is_escaped(tmp_path):
    done = run_hostile(tmp_path)
    assert done.returncode == 0, done.stderr
    text = assert_printable(done.stderr)
    assert text.startswith("leftopen: 1 leak")
    assert r"\e]0;t\x07\e[2J\n<b>&'" in text
    assert r"\xff\xc3" in text


def test_verbose_text_is_escaped(tmp_path):
    done = run_hostile(tmp_path, "-v", "--min-count=4")
    text = assert_printable(done.stderr)
    assert "no leak, but" in text


def test_coloured_text_has_no_sequence_but_its_own(tmp_path):
    done = run_hostile(tmp_path, "--color=always")
    assert b"\x1b[" in done.stderr
    assert_printable(done.stderr, colour=True)


def test_json_is_valid_and_marked(tmp_path):
    done = run_hostile(tmp_path, "--json", "report.json", "--samples=0")
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "report.json").read_bytes()
    report = json.loads(data.decode("utf-8"))
    leftopen.validate(report)
    # As JSON has it, but for the bytes that are no UTF-8.
    shown = HOSTILE.replace(b"\xff", b"\\xff").replace(b"\xc3", b"\\xc3").decode()

    assert report["command"][-1] == shown
    assert report["escaped"] == ["command"]
    parent, child = report["processes"]
    for process in (parent, child):
        assert process["cmdline"][-1] == shown
        assert "cmdline" in process["escaped"]
    assert parent["exe"] == "%s/program %s" % (tmp_path, shown)
    assert "exe" in parent["escaped"]
    name = HOSTILE[-15:].replace(b"\xff", b"\\xff").replace(b"\xc3", b"\\xc3").decode()
    assert child["comm"] == name
    assert "comm" in child["escaped"]

    targets = {sample["target"]: sample for group in report["groups"] for sample in group["samples"]}
    for kind in ("file", "fifo"):
        assert "target" in targets["%s/%s/%s %s" % (tmp_path, shown, kind, shown)]["escaped"]
    leak, = (site for site in report["sites"] if site["verdict"] == "leak")
    assert len(leak["tests"]) == 3
    for number, test in enumerate(leak["tests"]):
        assert test["name"] == "%d %s" % (number, shown)
        assert test["escaped"] == ["name"]


def test_message_about_a_hostile_command_is_escaped():
    for arguments in ((b"run", b"--", HOSTILE), (b"run", b"--json", HOSTILE + b"/x", b"--", b"true"),
                      (b"run", b"--" + HOSTILE), (b"run", b"--user", HOSTILE, b"--", b"true"),
                      (b"run", b"--top", HOSTILE, b"--", b"true"), (HOSTILE,), (b"doctor", HOSTILE)):
        done = processes.leftopen_raw(*arguments)
        assert done.returncode in (125, 127)
        text = assert_printable(done.stderr)
        assert text.count("\n") == 1


# Files

def test_file_that_is_no_library():
    program = ("import ctypes, os, sys, tempfile\n"
               "for content in (b'', b'garbage' * 1000, b'\\x7fELF', b'\\x7fELF' + bytes(5000)):\n"
               "    with tempfile.NamedTemporaryFile() as file:\n"
               "        file.write(content); file.flush()\n"
               "        try: ctypes.CDLL(file.name)\n"
               "        except OSError: continue\n"
               "        sys.exit(1)\n")
    result = leftopen.run(leftopen.PYTHON, "-c", program)
    assert result.status == 0
    assert result.stderr.startswith("leftopen: no leak: ")


# Maps the files that it is given as code, and leaves a descriptor open after each, so that a stack is made. mmap
# keeps a descriptor of its own.
MAPPER = """
import mmap, os, sys
kept = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        kept.append(mmap.mmap(file.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))
    os.open(path, os.O_RDONLY)
print(len(kept), flush=True)
os._exit(0)
"""


def broken_copies(folder):
    """Write copies of a library, truncated or with bytes changed where its tables are; return their paths."""
    with open("/lib/x86_64-linux-gnu/libz.so.1", "rb") as file:
        library = file.read()
    chance = random.Random(20)
    copies = [library[:size] for size in (1, 4, 16, 63, 64, 65, 120, 4096, 5000, len(library) // 2, len(library) - 1)]
    section_table = int.from_bytes(library[40:48], "little")
    for _ in range(60):
        copy = bytearray(library)
        start, length = chance.choice([(4, 60), (64, 600), (section_table, 1500), (0, 0x3000)])
        for _ in range(chance.choice([1, 4, 40])):
            copy[start + chance.randrange(length)] = chance.choice([0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)])
        copies.append(bytes(copy))
    # Offsets, sizes and counts as large as they get.
    for offset, size in ((24, 8), (32, 8), (40, 8), (54, 2), (56, 2), (58, 2), (60, 2), (62, 2)):
        copies.append(library[:offset] + b"\xff" * size + library[offset + size:])
    paths = []
    for number, copy in enumerate(copies):
        paths.append(os.path.join(folder, "broken-%d.so" % number))
        with open(paths[-1], "wb") as file:
            file.write(copy)
    return paths


def test_broken_elf_files_mapped_as_code(tmp_path):
    paths = broken_copies(str(tmp_path))
    result = leftopen.run(leftopen.PYTHON, "-c", MAPPER, *paths, options=["--samples=0"])
    assert result.status == 0
    assert result.stdout == b"%d\n" % len(paths)
    opened = [sample["target"] for group in result.report["groups"] for sample in group["samples"]
              if group["kind"] == "fd"]
    assert sorted(opened) == sorted(paths * 2)
    mapped = [sample["target"] for group in result.report["groups"] for sample in group["samples"]
              if group["kind"] == "map" and sample["target"] in paths]
    assert sorted(mapped) == sorted(paths)


def test_fifo_that_nobody_writes_to(tmp_path):
    """A FIFO is opened by the command, and never by leftopen: it would wait."""
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    program = "import os, sys; os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)"
    result = leftopen.run(leftopen.PYTHON, "-c", program, fifo, timeout=60)
    group, = (group for group in result.report["groups"] if group["kind"] == "fd")
    assert group["type"] == "pipe"
    assert [sample["target"] for sample in group["samples"]] == [fifo]


def test_library_replaced_by_a_fifo_before_it_is_named(tmp_path):
    """What is read of a mapped file must be that file, and not what has its name by then: that would wait."""
    path = str(tmp_path / "library.so")
    shutil.copy("/lib/x86_64-linux-gnu/libz.so.1", path)
    program = ("import ctypes, os, sys\n"
               "library = ctypes.CDLL(sys.argv[1])\n"
               "os.unlink(sys.argv[1])\n"
               "os.mkfifo(sys.argv[1])\n"
               "library.gzopen(b'/etc/hostname', b'rb')\n")
    result = leftopen.run(leftopen.PYTHON, "-c", program, path, timeout=60)
    group, = (group for group in result.report["groups"] if group["kind"] == "fd")
    assert group["samples"][0]["target"] == "/etc/hostname"
