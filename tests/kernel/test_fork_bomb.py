"""A program that forks without end, as many at once as a pids controller allows, until its cgroup is killed.

Purpose: leftopen lives through it in bounded memory, ends soon afterwards, and either has every process or says why not.
Inputs: workloads/fork_bomb.c, which counts what it makes. Outputs: assertions on reports.
"""

import contextlib
import json
import os
import subprocess

import leftopen
import processes
import truth
import watching
from watching import Watching

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


def test_run(tmp_path):
    """It is killed, and so is leftopen afterwards; the report has each process, or is not complete and says why."""
    report_path, count_path = tmp_path / "report.json", tmp_path / "made"
    with Bounded("leftopen-test-bomb-%d" % os.getpid(), AT_ONCE) as group:
        with processes.leftopen_running("run", "--json", str(report_path), "--", *group.command(
                leftopen.workload("fork_bomb"), str(count_path))) as process:
            processes.wait_until(count_path.exists, "the bomb is there")
            let_it_go_off(process, count_path)
            group.kill()
            _, said = process.communicate(timeout=60)
            assert process.returncode == -9, said
    made = made_so_far(count_path)
    with open(report_path, encoding="utf-8") as file:
        report = json.load(file)
    assert report["self"]["rss_peak_bytes"] < BASE_BYTES + PROCESS_BYTES * made, report["self"]
    if report["completeness"]["complete"]:
        # Those that were being made as they were killed are not in the bomb's own count.
        assert made + 1 <= len(report["processes"]) <= made + 1 + AT_ONCE
        assert b"not complete" not in said
    else:
        assert report["completeness"]["why"] and b"not complete: " in said
        assert len(report["processes"]) <= made + 1 + AT_ONCE


def test_watch(tmp_path):
    """Those that live are listed at each interval; what is gone takes no memory, and nothing of it stays."""
    count_path = tmp_path / "made"
    with Bounded("leftopen-test-bomb-%d" % os.getpid(), AT_ONCE) as group, watching.Watched() as other:
        with subprocess.Popen(group.command(leftopen.workload("fork_bomb"), str(count_path)), stdin=subprocess.PIPE) as bomb:
            processes.wait_until(count_path.exists, "the bomb is there")
            with Watching("-p", "%d,%d" % (bomb.pid, other.pid), interval="0.5") as watch:
                watch.follows(bomb.pid, other.pid)
                let_it_go_off(bomb, count_path)
                group.kill()
                bomb.wait()
                report = watch.report(lambda report: watching.pids(report) == {other.pid}, "the bomb is gone")
                assert truth.process_of(report, other.pid)["fds"]["live"] == len(watching.descriptors_of(other.pid))
                assert report["self"]["rss_peak_bytes"] < BASE_BYTES
                assert watch.interrupt() == 0
                assert report["completeness"]["complete"] or "not complete: " in watch.printed().decode()
