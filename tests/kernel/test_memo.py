"""Stacks that are recalled and not unwound are what unwinding finds: LEFTOPEN_MEMO=check unwinds each that is recalled,
and counts where the two differ. LEFTOPEN_MEMO=blind recalls by depth alone: the same count must then be high.
"""

import shutil

import pytest

import leftopen
from ordinary import program, write

PYTHON_CODE = """
import os, sqlite3
for turn in range(300):
    with open("/etc/passwd") as file:
        file.read()
for turn in range(20):
    database = sqlite3.connect("data%d.db" % (turn % 3))
    database.execute("create table if not exists t(a)")
    database.execute("insert into t values (1)")
    database.commit()
    database.close()
"""
MAKEFILE = "all: $(patsubst %.c,%.o,$(wildcard *.c))\n"
SOURCES = 6
# What runs, how many stacks are compared at least, and which part of all is recalled at least.
CASES = {
    "made to be alike": ([leftopen.workload("alike"), "4000", "./copy"], 8000, 0.4),
    "git": (["git", "hash-object", *["f0.c"] * 100], 80, 0.4),
    "make": (["make", "-B", "-j2"], 300, 0.5),
    "perl": (["perl", "-e", 'for (1..300) { open(my $file, "<", "/etc/passwd"); }'], 250, 0.7),
    "python": ([leftopen.PYTHON, "case.py"], 400, 0.7),
    "sqlite": (["sqlite3", "data.db", "create table t(a); insert into t values (1); select * from t"], 50, 0.3),
}


def stacks_of(tmp_path, command, mode):
    """Run a command in a folder that has what it needs; return what is counted of its stacks."""
    write(tmp_path, "case.py", PYTHON_CODE)
    write(tmp_path, "Makefile", MAKEFILE)
    for number in range(SOURCES):
        write(tmp_path, "f%d.c" % number, "#include <stdio.h>\nint f%d(void) { return puts(\"\"); }\n" % number)
    shutil.copy(leftopen.workload("alike"), tmp_path / "copy")
    done = leftopen.run(program(command[0]), *command[1:], options=["--stacks=native"], env={"LEFTOPEN_MEMO": mode},
                        cwd=tmp_path)
    assert done.status == 0, done.stderr
    assert not done.report["completeness"]["lost"], done.report["completeness"]
    return done.report["self"]["stacks"]


@pytest.mark.parametrize("name", CASES)
def test_what_is_recalled_is_what_unwinding_finds(tmp_path, name):
    command, least, part = CASES[name]
    stacks = stacks_of(tmp_path, command, "check")
    assert stacks["recalled"] >= least and stacks["recalled"] >= part * stacks["unwound"], stacks
    assert not stacks["wrong"], stacks


def test_a_difference_would_be_seen(tmp_path):
    stacks = stacks_of(tmp_path, CASES["made to be alike"][0], "blind")
    assert stacks["wrong"] > stacks["recalled"] / 4, stacks


def test_what_is_recalled_is_not_unwound(tmp_path):
    """Nor is anything recalled where memos are off."""
    command, least, part = CASES["perl"]
    stacks = stacks_of(tmp_path, command, "use")
    assert stacks["recalled"] >= least and stacks["recalled"] >= part * (stacks["recalled"] + stacks["unwound"]), stacks
    assert not stacks["wrong"], stacks
    assert stacks_of(tmp_path, command, "off") == {"unwound": 0, "recalled": 0, "wrong": 0}


def test_a_mode_that_is_none():
    done = leftopen.run("true", env={"LEFTOPEN_MEMO": "sometimes"}, check_complete=False)
    assert done.status == 125 and "LEFTOPEN_MEMO" in done.stderr
