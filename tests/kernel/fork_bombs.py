"""Programs that fork without end (workloads/fork_bomb.c), in a control group that bounds them and is killed.

Purpose: Bounded is the group; let_it_go_off() waits until so many were made. Inputs: cgroup v2, and a pids controller of
either version. Outputs: what the bomb counted.
"""

import contextlib
import os

import processes

AT_ONCE = 40
MADE = 2000
# A process that is gone is its line of the report, and what it left open.
PROCESS_BYTES = 10000
BASE_BYTES = 128 << 20


def mounts():
    """Return [(folder, type, options)] of control groups' hierarchies."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        fields = [line.split() for line in file]
    return [(field[1], field[2], field[3].split(",")) for field in fields if field[2] in ("cgroup", "cgroup2")]


class Bounded:
    """A control group with at most so many processes at once; use it in a with statement, at whose end it is killed."""

    def __init__(self, name, at_once):
        unified = next(folder for folder, type_, _ in mounts() if type_ == "cgroup2")
        limiting = [folder for folder, type_, options in mounts() if type_ == "cgroup" and "pids" in options]
        self.path = "/" + name
        self.folder = os.path.join(unified, name)
        self.limit = os.path.join((limiting or [unified])[0], name)
        self.at_once = at_once

    def __enter__(self):
        for folder in {self.folder, self.limit}:
            os.mkdir(folder)
        self.write(self.limit, "pids.max", self.at_once)
        return self

    def __exit__(self, *_):
        self.kill()
        processes.wait_until(self.is_empty, "the group is empty")
        for folder in {self.folder, self.limit}:
            os.rmdir(folder)

    @staticmethod
    def write(folder, name, value):
        """Write a file of a group."""
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def kill(self):
        """Kill all that is in the group."""
        self.write(self.folder, "cgroup.kill", 1)

    def is_empty(self):
        """Whether nothing is in the group any more."""
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open(os.path.join(folder, "cgroup.procs"), encoding="ascii"))
                     for folder in (self.folder, self.limit)]
            return not any(file.read() for file in files)

    def command(self, *command):
        """Return the command, as one that enters the group first."""
        enter = "for f in %s %s; do echo $$ > $f/cgroup.procs; done; exec nice -n 19 \"$@\"" % (self.folder, self.limit)
        return ["sh", "-c", enter, "sh", *command]


def made_so_far(path):
    """Return how many processes the bomb has made."""
    return int.from_bytes(path.read_bytes(), "little")


def let_it_go_off(process, path):
    """Let the bomb begin, and wait until it has made so many."""
    process.stdin.write(b"\n")
    process.stdin.flush()
    processes.wait_until(lambda: made_so_far(path) >= MADE, "it has forked", 60)
