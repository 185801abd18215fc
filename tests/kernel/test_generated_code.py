"""Code in no file, as JIT compilers make it: names by /tmp/perf-PID.map, where the process sees that file.

Inputs: workloads/generated.c, node, CPython from 3.12 on. Outputs: assertions about stacks in reports.
A map may have been written by anybody: what is none costs its names, and nothing else.
"""

import contextlib
import glob
import os
import re

import pytest

import leftopen
from ordinary import program, write
from test_python_frames import INTERPRETERS

FULL = ("--stacks=full", "--as-root")
CODE = 0x200000000
OUTER, INNER = CODE, CODE + 0x100
GOOD = "%x 8 jit_outer\n%x 8 jit_inner\n" % (OUTER, INNER)
NAMED = ["open_it", "jit_inner", "call_inner", "jit_outer", "main"]
BARE = ["open_it", "", "call_inner", "", "main"]
ESCAPES = b"\x1b[2J\x07\xff\xfe\xe2\x80\xae<b>"


@pytest.fixture(autouse=True)
def maps_are_removed():
    """Take away what a test's programs have written into /tmp."""
    before = set(glob.glob("/tmp/perf-*.map"))
    yield
    for path in set(glob.glob("/tmp/perf-*.map")) - before:
        with contextlib.suppress(IsADirectoryError, FileNotFoundError):
            os.unlink(path)
            continue
        os.rmdir(path)


def stack_of(report, name="/etc/passwd"):
    """Return the stack of the one group of files of that name."""
    found = [group for group in report["groups"] if group["samples"] and group["samples"][0]["target"] == name]
    assert len(found) == 1, found
    return report["stacks"][found[0]["stack"]]["frames"]


def functions(frames):
    """Return the functions between libc's own frames."""
    return [frame["function"] for frame in frames if "libc" not in frame["module"] and frame["function"] != "_start"]


def run_with(prelude, tmp_path, content=b"", user=None):
    """Run the workload after a shell has made its map: $MAP is its path, and "content" a file."""
    (tmp_path / "content").write_bytes(content)
    script = "MAP=/tmp/perf-$$.map; CONTENT=%s/content; %s; exec %s 3" % (tmp_path, prelude, leftopen.workload("generated"))
    options = ["--stacks=full", "--user", user] if user else FULL
    return leftopen.run("sh", "-c", script, options=options, check_complete=False)


def test_names():
    """Functions that a program compiled, between its own."""
    result = leftopen.run(leftopen.workload("generated"), "3", "map", options=FULL)
    frames = stack_of(result.report)
    assert functions(frames) == NAMED
    assert [frame["language"] for frame in frames if frame["function"].startswith("jit_")] == ["jit", "jit"]
    assert {frame["offset"] & ~0xff for frame in frames if frame["language"] == "jit"} == {OUTER, INNER}


def test_by_frame_pointers():
    """What the kernel's own walk finds is named too."""
    result = leftopen.run(leftopen.workload("generated"), "3", "map", options=["--stacks=fp", "--as-root"])
    assert {"jit_inner", "jit_outer"} <= set(functions(stack_of(result.report)))


def test_in_a_container():
    """Where the process has a pid and a /tmp of its own, that file is read, and not the machine's."""
    assert not os.path.exists("/tmp/perf-1.map")
    script = "mount -t tmpfs none /tmp && exec ./workloads/generated 3 looked"
    result = leftopen.run("unshare", "--pid", "--mount", "--fork", "--mount-proc", "sh", "-c", script, options=FULL,
                          cwd=leftopen.BUILD)
    assert result.status == 0, result.stderr
    assert functions(stack_of(result.report)) == NAMED
    assert not os.path.exists("/tmp/perf-1.map")


def test_two_processes_of_the_same_addresses(tmp_path):
    """Each has its own map: what is at an address in one says nothing of the other."""
    one, other = (b"%x 8 %s_outer\n%x 8 %s_inner\n" % (OUTER, name, INNER, name) for name in (b"one", b"other"))
    (tmp_path / "one").write_bytes(one)
    (tmp_path / "other").write_bytes(other)
    script = "".join("sh -c 'cp %s/%s /tmp/perf-$$.map; exec %s 3'; " % (tmp_path, name, leftopen.workload("generated"))
                     for name in ("one", "other"))
    report = leftopen.run("sh", "-c", script, options=FULL).report
    found = {tuple(name for name in functions(report["stacks"][group["stack"]]["frames"]) if "_" in name)
             for group in report["groups"] if group["samples"] and group["samples"][0]["target"] == "/etc/passwd"}
    assert found == {("open_it", name + "_inner", "call_inner", name + "_outer") for name in ("one", "other")}


@pytest.mark.parametrize("prelude,content,expected", [
    ("cp $CONTENT $MAP", GOOD.encode(), NAMED),
    ("cp $CONTENT $MAP", GOOD.encode()[:-1], NAMED),
    ("cp $CONTENT $MAP", GOOD.replace("2", "0x2", 1).encode(), NAMED),
    ("cp $CONTENT $MAP", b"200000000 1000 old\n" + GOOD.encode(), NAMED),
    ("cp $CONTENT $MAP", b"fffffffffffffff0 100 wraps\n200000000 ffffffffffffffff wraps\n200000000 0 empty\n", BARE),
    ("cp $CONTENT $MAP", b"", BARE),
    ("head -c 1000000 /dev/urandom | tr '\\n' x >$MAP", b"", BARE),
    ("mkdir $MAP", b"", BARE),
    ("mkfifo $MAP", b"", BARE),
    ("ln -s $CONTENT $MAP", GOOD.encode(), BARE),
    ("ln $CONTENT $MAP", GOOD.encode(), BARE),
    ("cp $CONTENT $MAP; chown nobody $MAP", GOOD.encode(), BARE),
    ("cp $CONTENT $MAP; touch -d '1 hour ago' $MAP", GOOD.encode(), BARE),
], ids=["good", "no newline", "0x", "overlapping", "wraps", "empty", "garbage", "directory", "fifo", "symbolic link",
        "hard link", "stranger's", "older"])
def test_maps_that_may_be_bad(tmp_path, prelude, content, expected):
    """A map that is none, or not its process's own, gives no names; nobody waits for it."""
    result = run_with(prelude, tmp_path, content)
    assert result.status == 0, result.stderr
    assert result.report["completeness"]["complete"], result.stderr
    assert functions(stack_of(result.report)) == expected


def test_map_of_4_gb(tmp_path):
    """It is cut, and the report says that something was left out."""
    result = run_with("cp $CONTENT $MAP; truncate -s 4G $MAP", tmp_path, GOOD.encode())
    assert functions(stack_of(result.report)) == NAMED
    assert not result.report["completeness"]["complete"]
    assert result.report["completeness"]["why"] == ["1 handles, stacks or processes more than are kept"]


def test_names_that_are_hostile(tmp_path):
    """Escape sequences, bytes that are no text, and 64 KB of them: shown harmlessly."""
    content = b"%x 8 outer%s\n%x 8 inner%s\n" % (OUTER, ESCAPES, INNER, b"n" * 65536)
    result = run_with("cp $CONTENT $MAP", tmp_path, content)
    names = functions(stack_of(result.report))
    assert names[1] == "inner" + "n" * 507 + "..."
    assert names[3] == "outer\x1b[2J\x07\\xff\\xfe\u202e<b>"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", result.stderr), result.stderr
    assert "outer\\e[2J\\x07\\xff\\xfe\\u{202e}<b>" in result.stderr


def test_user(tmp_path):
    """Of a process that is not root's, a map that is its user's."""
    result = run_with("printf '%s' >$MAP" % GOOD.replace("\n", "\\n"), tmp_path, user="nobody")
    assert result.status == 0, result.stderr
    assert functions(stack_of(result.report)) == NAMED


LEAK_JS = """const fs = require('fs');
const kept = [];
function leakOne() {
  kept.push(fs.openSync('/etc/passwd', 'r'));
}
for (let i = 0; i < 500; i++) leakOne();
"""


def stacks_with(report, function):
    return [stack["frames"] for stack in report["stacks"].values()
            if function in [frame["function"] for frame in stack["frames"]]]


def test_node(tmp_path):
    """A function of JavaScript is the place of what it leaves open, also where it is interpreted."""
    script = write(tmp_path, "leak.js", LEAK_JS)
    result = leftopen.run(program("node", "nodejs"), "--perf-basic-prof", "--interpreted-frames-native-stack", script,
                          options=FULL, cwd=tmp_path)
    assert result.status == 0, result.stderr
    sites = [site["location"] for site in result.report["sites"] if site["fds"] == 500]
    assert sites == [{"function": "leakOne", "file": "leak.js", "line": 3, "language": "jit"}]
    assert "leak.js:3 in leakOne" in result.stderr
    for frames in stacks_with(result.report, "leakOne"):
        names = [frame["function"] for frame in frames if frame["language"] == "jit" and frame["file"] == script]
        assert names == ["leakOne", "<anonymous>"]


def test_node_compiled(tmp_path):
    """Without a name for what is interpreted, what has been compiled is named."""
    script = write(tmp_path, "leak.js", LEAK_JS)
    result = leftopen.run(program("node", "nodejs"), "--perf-basic-prof", script, options=FULL, cwd=tmp_path)
    assert stacks_with(result.report, "leakOne"), result.stderr
    assert [site["fds"] for site in result.report["sites"] if site["location"]["function"] == "leakOne"]


LEAK_PY = """import os
def leak_one():
    return os.open("/etc/passwd", os.O_RDONLY)
class Owner:
    def middle(self): return [leak_one() for _ in range(2)]
for _ in range(20): kept = Owner().middle()
os._exit(0)
"""


def minor_of(interpreter):
    found = re.search(r"/versions/3\.(\d+)", interpreter)
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize("switches", [[], ["-X", "perf"]], ids=["", "perf"])
def test_python_is_there_once(tmp_path, switches):
    """CPython's trampolines (-X perf, from 3.12 on) are the functions whose own frames are there: they are left out."""
    script = write(tmp_path, "leak.py", LEAK_PY)
    for interpreter in [path for path in INTERPRETERS if minor_of(path) >= 12] or [leftopen.PYTHON]:
        result = leftopen.run(interpreter, *([] if interpreter == leftopen.PYTHON else switches), script, options=FULL)
        assert result.status == 0, result.stderr
        stacks = stacks_with(result.report, "leak_one")
        assert stacks
        for frames in stacks:
            assert [frame for frame in frames if frame["language"] == "jit"] == []
            names = [frame["function"] for frame in frames if frame["language"] == "python"]
            assert [name for name in names if "<listcomp>" not in name] == ["leak_one", "Owner.middle", "<module>"]
