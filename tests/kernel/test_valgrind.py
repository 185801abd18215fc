"""What is never released: leftopen says what valgrind --track-fds=yes says; tests/soak has more programs."""

import json
import os

import leftopen
import pytest
import valgrind
from ordinary import write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "one", "".join("%d\n" % i for i in range(100)))
    write(tmp_path, "two", "".join("%d\n" % i for i in range(50, 150)))
    return tmp_path


# What runs, and how many it leaves open at least.
CASES = {
    "awk": (["mawk", 'BEGIN { getline < "one"; getline < "two"; "echo x" | getline }'], 3),
    "bash": (["bash", "-c", "exec 7< one 8<> two 9>&7; read line <&7; exec 8>&-; exit 3"], 2),
    "perl": (["perl", "-e", 'use POSIX; socket(our $closed, 1, 1, 0); POSIX::open("two"); POSIX::open("one"); exit 4'], 2),
    "python": ([leftopen.PYTHON, "-c", """
import os, socket
number = os.open("one", os.O_RDONLY)
os.pipe()
file = open("two")
socket.socket(socket.AF_UNIX).detach()
os.dup(number)
"""], 5),
    "sort": (["sort", "one", "two"], 0),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_valgrind(folder, name):
    command, least = CASES[name]
    valgrind.assert_agree(command, str(folder), least)


def test_valgrind_finds_nothing_of_the_demo(tmp_path, monkeypatch):
    """Why leftopen takes the set when shutdown begins: valgrind looks at the very end."""
    truth = tmp_path / "truth.json"
    monkeypatch.setenv("DEMO_TRUTH", str(truth))
    status, found = valgrind.open_at_exit(
        [leftopen.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        os.path.join(leftopen.SOURCE, "tests", "demo", "leaky"), lambda: None)
    assert status == 0
    leaked = {handle["target"] for handle in json.loads(truth.read_text())["descriptors"]}
    assert any(target.startswith("/") for target in leaked)
    assert not leaked & set(found.values())
