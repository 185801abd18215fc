"""Looks at processes and starts leftopen in ways that subprocess.run() does not.

Purpose: waiting for a condition with a deadline, what /proc says of a process, leftopen's raw bytes.
Inputs: process ids of the tests' own. Outputs: what is asked for, or an AssertionError.
"""

import contextlib
import os
import signal
import subprocess
import time

import leftopen

DEADLINE_S = 30
POLL_S = 0.01


def wait_until(condition, what, seconds=DEADLINE_S):
    """Wait for the condition to hold; return what it returned."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, "not within %d s: %s" % (seconds, what)
        time.sleep(POLL_S)


def children(pid):
    """Return the pids of a process's children."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def comm(pid):
    """Return a process's name, "" where it is gone."""
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def state(pid):
    """Return the letter of a process's state; "X" where it is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def is_running(pid):
    """Whether a process is there; one that nobody has waited for is not."""
    return state(pid) not in "XZ"


def _has_signal(pid, field, number):
    """Whether a signal is in one of the sets of a process's status."""
    with open("/proc/%d/status" % pid, encoding="utf-8", errors="replace") as file:
        signals = next(line for line in file if line.startswith(field + ":"))
    return bool(int(signals.split()[1], 16) >> (number - 1) & 1)


def has_handler(pid, number):
    """Whether a process catches a signal: it has come as far as to say so."""
    return _has_signal(pid, "SigCgt", number)


def blocks(pid, number):
    """Whether a process blocks a signal: it has come as far as to take it by a descriptor."""
    return _has_signal(pid, "SigBlk", number)


def leftopen_raw(*arguments, **options):
    """Run leftopen with arguments of any kind; return subprocess's result, with bytes."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([leftopen.LEFTOPEN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, check=False, **options)


@contextlib.contextmanager
def leftopen_running(*arguments, **options):
    """Start leftopen with pipes on all three streams; what is left of it is killed in the end."""
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen([leftopen.LEFTOPEN, *arguments], **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextlib.contextmanager
def killed_at_end(pid):
    """Kill a process that outlives what started it."""
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
