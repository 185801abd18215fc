"""Native stacks against gdb's, frame by frame, as (file, offset): gdb follows the program while leftopen follows both."""

import collections
import json
import os

import pytest

import leftopen
from ordinary import program, write

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON_CODE = """
import json, sqlite3, ssl, os, socket, tempfile
databases = [sqlite3.connect("data%d.db" % i) for i in range(10)]
for database in databases:
    database.execute("create table t(a)")
    database.executemany("insert into t values (?)", [(i,) for i in range(100)])
    database.execute("pragma journal_mode = wal")
    database.execute("select * from t").fetchone()
files = [open("/etc/passwd") for _ in range(3)] + sorted((tempfile.TemporaryFile() for _ in range(2)), key=id)
sockets = [socket.socket() for _ in range(2)]
os._exit(0)
"""
PERL_CODE = """
use POSIX;
sub deeper { my $n = shift; return $n ? deeper($n - 1) : open(our $file, "<", "/etc/passwd"); }
deeper(20); POSIX::open("/etc/group"); socket(our $socket, 1, 1, 0);
my @sorted = sort { POSIX::open("/etc/group"); $a <=> $b } (2, 1);
POSIX::_exit(0);
"""
# What runs, and of how many calls at least the stack is compared.
CASES = {
    "git": (["git", "log", "-1"], 15),
    "perl": (["perl", "case.pl"], 25),
    "python": ([leftopen.PYTHON, "case.py"], 40),
    "sqlite": (["sqlite3", "data.db", "create table t(a); insert into t values (1); select * from t"], 20),
    "without frame pointers": ([leftopen.workload("stacks")], 40),
    "interrupted in the vdso": ([leftopen.workload("stacks_vdso")], 12),
}


def frames_of(stack):
    """Return [[file, offset]] of the frames that there are in memory."""
    return [[frame["module"], frame["offset"]] for frame in stack["frames"]
            if not frame["inlined"] and frame["language"] == "native"]


def compared(report, calls):
    """Yield (gdb's frames, the stack) of each handle that is there in the end."""
    last = {call["result"]: call["frames"] for call in calls}
    ours = {process["pid"] for process in report["processes"] if process["comm"] == "gdb"}
    for group in report["groups"]:
        if group["pid"] in ours or group["stack"] not in report["stacks"]:
            continue
        for sample in group["samples"]:
            result = sample["fd"] if group["kind"] == "fd" else int(sample["addr"], 16)
            if result in last:
                yield last[result], report["stacks"][group["stack"]]


@pytest.mark.parametrize("name", CASES)
def test_every_frame_equals_gdb(tmp_path, name):
    """All of a stack that says it is complete; of one that does not, what there is."""
    command, least = CASES[name]
    path = tmp_path / "stacks.json"
    write(tmp_path, "case.py", PYTHON_CODE)
    write(tmp_path, "case.pl", PERL_CODE)
    folder = leftopen.SOURCE if name == "git" else tmp_path
    report = leftopen.run(
        program("gdb"), "-batch", "-nx", "-x", os.path.join(HERE, "gdb_stacks.py"), "--args", program(command[0]),
        *command[1:], options=["--stacks=native", "--samples", "0"], env={"GDB_STACKS": str(path)}, cwd=folder).report
    with open(path, encoding="utf-8") as file:
        calls = [json.loads(line) for line in file]
    pairs = list(compared(report, calls))
    assert len(pairs) >= least
    whys = collections.Counter(stack["why"] for _, stack in pairs)
    for expected, stack in pairs:
        found = frames_of(stack)
        assert found == (expected if stack["complete"] else expected[:len(found)]), (stack["why"], whys)
    assert whys[""] >= 0.95 * len(pairs), whys
    if name == "interrupted in the vdso":
        assert sum("[vdso]" in [module for module, _ in frames_of(stack)] for _, stack in pairs) >= least
