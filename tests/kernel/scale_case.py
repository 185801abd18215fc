"""Processes that are made and soon gone, in numbers, for the tests that watch them.

Purpose: Churn is a process that makes as many as it is told (workloads/churn.c); memory_of is what leftopen has taken.
Inputs: how many, at which rate. Outputs: how long it took, bytes.
"""

import re
import subprocess

import leftopen
import processes


class Churn:
    """A process that makes processes; use it in a with statement, at whose end it is killed."""

    def __init__(self, rate):
        self.process = subprocess.Popen([leftopen.workload("churn"), str(rate)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(processes.DEADLINE_S)
        self.process.stdin.close()
        self.process.stdout.close()

    def make(self, count):
        """Make so many, and wait until all are gone; return the seconds that it took."""
        self.process.stdin.write(b"%d\n" % count)
        self.process.stdin.flush()
        made, milliseconds = self.process.stdout.readline().split()
        assert int(made) == count
        return int(milliseconds) / 1000


def memory_of(pid):
    """Return the bytes of memory of its own that a process has now."""
    with open("/proc/%d/status" % pid, encoding="utf-8", errors="replace") as file:
        return int(re.search(r"^RssAnon:\s+(\d+) kB$", file.read(), re.MULTILINE).group(1)) * 1024
