"""Native stacks of real programs against gdb's, frame by frame."""

import pytest

import leftopen
from against_gdb import check
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
    "without frame pointers": ([leftopen.workload("stacks")], 40),
}


@pytest.mark.parametrize("name", CASES)
def test_every_frame_equals_gdb(tmp_path, name):
    """All of a stack that says it is complete; of one that does not, what there is."""
    command, least = CASES[name]
    write(tmp_path, "case.py", PYTHON_CODE)
    write(tmp_path, "case.pl", PERL_CODE)
    check(tmp_path, command, least, leftopen.SOURCE if name == "git" else None, complete=0.95)
