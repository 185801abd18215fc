"""Native stacks of real programs against gdb's, frame by frame."""

import functools
import os
import pathlib
import subprocess
import tempfile

import pytest

import leftopen
from against_gdb import compare
from ordinary import write

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
    "threads of C++": (["threads"], 60),
    "without frame pointers": ([leftopen.workload("stacks")], 40),
}
THREADS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "workloads", "stacks_threads.cc")


@functools.cache
def comparison_of(name):
    """Return the Comparison of a case."""
    with tempfile.TemporaryDirectory(prefix="leftopen-frames.") as path:
        folder = pathlib.Path(path)
        write(folder, "case.py", PYTHON_CODE)
        write(folder, "case.pl", PERL_CODE)
        command = CASES[name][0]
        if name == "threads of C++":
            command = [str(folder / command[0])]
            subprocess.run(["g++", "-O2", "-fomit-frame-pointer", "-pthread", "-o", *command, THREADS], check=True)
        return compare(folder, command, leftopen.SOURCE if name == "git" else None)


@pytest.mark.parametrize("name", CASES)
def test_every_frame_equals_gdb(name):
    """All of a stack that says it is complete; of one that does not, what there is."""
    comparison = comparison_of(name)
    assert not comparison.wrong, (comparison.wrong[0], comparison.whys)
    assert len(comparison.stacks) >= CASES[name][1], comparison.whys
    assert comparison.whys[""] >= 0.95 * sum(comparison.whys.values()), comparison.whys


def test_share_of_all_frames():
    """Over all of the programs: what is missing or wrong of gdb's frames, and none of it without being marked."""
    comparisons = [comparison_of(name) for name in CASES]
    frames, equal = sum(each.frames for each in comparisons), sum(each.equal for each in comparisons)
    for name, each in zip(CASES, comparisons):
        print("%s: %d stacks, %d of %d frames, %s" % (name, len(each.stacks), each.equal, each.frames, each.whys))
    assert not [stack for each in comparisons for stack in each.unmarked()]
    assert sum(len(each.stacks) for each in comparisons) >= 200
    assert equal >= 0.995 * frames, (equal, frames)
