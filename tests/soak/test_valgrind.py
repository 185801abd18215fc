"""What is never released: leftopen says what valgrind --track-fds=yes says, of more programs than tests/kernel has."""

import os
import subprocess

import pytest
import valgrind
from ordinary import GIT, program, write

# What runs, and how many it leaves open at least.
CASES = {
    "comm": (["comm", "one", "two"], 0),
    "find": (["find", "/usr/share/doc/git", "-name", "*.gz"], 0),
    "git log": (["git", "-C", "repository", "log", "-p"], 0),
    "git status": (["git", "-C", "repository", "status"], 0),
    "grep": (["grep", "-r", "1", "."], 0),
    "gzip": (["gzip", "-k", "one"], 0),
    "make": (["make", "-f", "all.mk"], 0),
    "node": (["node", "-e", 'const fs = require("fs"); fs.openSync("one"); fs.openSync("two");'], 2),
    "ps": (["ps", "-ef"], 0),
    "sed": (["sed", "-n", "1p", "one"], 0),
    "sh": (["sh", "-c", "exec 5< one 6>&5; read line <&5"], 2),
    "sqlite3": (["sqlite3", "some.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1); SELECT * FROM t;"], 0),
    "tar": (["tar", "-cf", "all.tar", "one", "two"], 0),
    "vmstat": (["vmstat"], 0),
}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "one", "".join("%d\n" % i for i in range(100)))
    write(tmp_path, "two", "".join("%d\n" % i for i in range(50, 150)))
    write(tmp_path, "all.mk", "all:\n\techo made\n")
    git = program("git")
    subprocess.run([git, "init", "-q", "repository"], cwd=tmp_path, check=True)
    subprocess.run([git, "-C", "repository", "commit", "-q", "--allow-empty", "-m", "one"], cwd=tmp_path, check=True,
                   env={**os.environ, **GIT})
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_valgrind(folder, name):
    command, least = CASES[name]
    before = sorted(os.listdir(folder))
    valgrind.assert_agree(command, str(folder), least, again=lambda: forget(folder, before))


def forget(folder, before):
    """Remove what the command made, for it to run again as it did."""
    for name in set(os.listdir(folder)) - set(before):
        os.unlink(folder / name)
