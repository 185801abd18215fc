"""Runs `leftopen watch` in the kernel tests, and processes that it watches.

Purpose: Watched is a process that obeys; Watching is leftopen with a JSON file that is replaced at each interval.
Inputs: options. Outputs: reports, validated; what was printed.
"""

import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import tempfile
import time

import leftopen
import processes
import truth

HERE = os.path.dirname(os.path.abspath(__file__))
WATCHED = os.path.join(HERE, "watched.py")


def line_of(function):
    """Return the number of the line on which a function of watched.py opens."""
    with open(WATCHED, encoding="utf-8") as file:
        lines = file.read().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("def %s(" % function))
    return next(i for i, line in enumerate(lines[begin:], begin + 1) if "os.open(" in line)


class Watched:
    """A process of watched.py; use it in a with statement, at whose end it is killed."""

    def __init__(self, *files, preexec_fn=None, parent=()):
        """With a parent, a command that runs what follows as its only child."""
        self.process = subprocess.Popen([*parent, leftopen.PYTHON, WATCHED, *files], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, preexec_fn=preexec_fn)
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = processes.children(self.process.pid)[0] if parent else self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Kill it and wait for it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(processes.DEADLINE_S)
        self.process.stdin.close()
        self.process.stdout.close()

    def tell(self, *words):
        """Tell it to do something; return its answer once it has."""
        self.process.stdin.write((" ".join(str(word) for word in words) + "\n").encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()


def descriptors_of(pid):
    """Return {number: target} as /proc says."""
    return {int(fd): os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)}


def mappings_of(pid):
    """Return the ranges of a process that leftopen knows of, as /proc says: not what the kernel made itself."""
    ranges = []
    with open("/proc/%d/maps" % pid, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if not re.search(r"\[(?!heap\])[a-z_:0-9]+\]$", line.rstrip("\n")):
                ranges.append((start, end))
    return truth.union(ranges)


def live_descriptors(report, pid):
    """Return {number: target} of what a report with --inherited --samples 0 says is open."""
    return {sample["fd"]: sample["target"] for group in truth.groups_of(report, "fd", pid)
            for sample in group["samples"]}


def sites_of(report, pid):
    """Return {(file's name, function, line): handles} of a process, as sites say."""
    found = {}
    for site in report["sites"]:
        for holder in site["processes"]:
            if report["processes"][holder["process"]]["pid"] == pid:
                location = site["location"]
                key = (os.path.basename(location["file"]), location["function"], location["line"])
                found[key] = found.get(key, 0) + holder["count"]
    return found


def pids(report):
    """Return the processes of a report that live."""
    return {process["pid"] for process in report["processes"] if not process["exited"]}


def taken_at(report):
    """Return when the snapshot of a report was taken, seconds since the epoch."""
    started = datetime.datetime.strptime(report["started"], "%Y-%m-%dT%H:%M:%S.%fZ")
    return started.replace(tzinfo=datetime.timezone.utc).timestamp() + report["duration_s"]


class Watching:
    """leftopen watch, with --json; use it in a with statement, at whose end it is killed if it has not ended."""

    def __init__(self, *arguments, interval="0.1", count=None, stdout=subprocess.PIPE):
        self.folder = tempfile.TemporaryDirectory(prefix="leftopen-watch.")
        self.path = os.path.join(self.folder.name, "watch.json")
        positions = [interval] + ([str(count)] if count else [])
        self.stdout = tempfile.TemporaryFile() if stdout is subprocess.PIPE else stdout
        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [leftopen.LEFTOPEN, "watch", "--json", self.path, *arguments, *positions],
            stdin=subprocess.DEVNULL, stdout=self.stdout, stderr=self.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(processes.DEADLINE_S)
        self.folder.cleanup()
        self.stdout.close()
        self.stderr.close()

    def look(self):
        """Return the report of now, not validated, which takes seconds where it is large; None where there is none."""
        with contextlib.suppress(FileNotFoundError):
            with open(self.path, encoding="utf-8") as file:
                return json.load(file)
        return None

    def read(self):
        """Return the report of now, validated; None where there is none yet."""
        report = self.look()
        if report:
            leftopen.validate(report)
        return report

    def report(self, condition=lambda report: True, what="a report", seconds=processes.DEADLINE_S):
        """Wait for a report of which the condition holds; return it."""
        last = []

        def holds():
            assert self.process.poll() in (None, 0), self.said()
            report = self.look()
            last[:] = [report]
            return report if report and condition(report) else None

        try:
            report = processes.wait_until(holds, what, seconds)
        except AssertionError as error:
            sites = (last[0] or {}).get("sites")
            raise AssertionError("%s\n%s\n%s" % (error, self.said(), json.dumps(sites)[:4000])) from error
        leftopen.validate(report)
        return report

    def follows(self, *wanted):
        """Wait until these processes are followed; return the report that says so."""
        return self.report(lambda report: set(wanted) <= pids(report), "following %s" % (wanted,))

    def ask_for_table(self, validate=True):
        """Have it print a table before the interval ends; return the report of then, or of later."""
        processes.wait_until(lambda: processes.blocks(self.process.pid, signal.SIGUSR1), "it takes signals")
        asked = time.time()
        # A report's time is in milliseconds, rounded down.
        time.sleep(0.002)
        self.process.send_signal(signal.SIGUSR1)
        seen = [None]

        def is_answered():
            # One that was being written may yet replace the file. Reading a long one takes a second.
            stamp = self.stamp()
            if stamp == seen[0]:
                return None
            seen[0] = stamp
            report = self.look()
            return report if report and taken_at(report) >= asked else None
        report = processes.wait_until(is_answered, "the file is replaced")
        if validate:
            leftopen.validate(report)
        return report

    def stamp(self):
        """Return which file it is now, None where there is none."""
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self.path)
            return status.st_ino, status.st_mtime_ns
        return None

    def said(self):
        """Return what it said on standard error so far."""
        self.stderr.seek(0)
        return self.stderr.read().decode("utf-8", "replace")

    def printed(self):
        """Return what it printed so far, bytes."""
        self.stdout.seek(0)
        return self.stdout.read()

    def wait(self):
        """Wait for it to end by itself; return its status."""
        return self.process.wait(processes.DEADLINE_S)

    def interrupt(self, number=signal.SIGINT):
        """Send it a signal, and wait for it to end; return its status."""
        self.process.send_signal(number)
        return self.wait()
