"""The JSON file of `leftopen watch` is written by a child, while leftopen goes on reading events.

Purpose: a writer that takes long holds up nothing but the next file, and what it cannot write is said.
Inputs: a process with so many descriptors that writing them takes a moment, in which the writer is stopped.
Outputs: assertions on what is printed, on files, on the exit status.
"""

import contextlib
import os
import signal
import subprocess
import time

import pytest

import leftopen
import many
import processes
import watching
from watching import Watched, Watching

IN_THE_WAY = "is not replaced this time: the one before is still being written. Give a longer INTERVAL"


@pytest.fixture(name="large", scope="module")
def _large():
    with many.Many("descriptors", 3000) as process:
        yield process


@contextlib.contextmanager
def stopped_writer(watch, asks=False):
    """Stop the child that writes, maybe because this asks for a report; it goes on in the end."""
    def find():
        if asks:
            watch.process.send_signal(signal.SIGUSR1)
        for child in processes.children(watch.process.pid):
            if processes.comm(child) == "leftopen-write":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGSTOP)
                    processes.wait_until(lambda: processes.state(child) in "TZX", "it is stopped")
                    if processes.state(child) == "T":
                        return child
        return None
    pid = processes.wait_until(find, "a child that writes")
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def first_report(watch, *wanted):
    """Wait for a report that has these processes; return it. (Validating one that is long takes seconds.)"""
    return processes.wait_until(
        lambda: watch.stamp() and set(wanted) <= watching.pids(watch.look()) and watch.look(), "a report")


def tables(watch):
    """Return how many tables were printed so far."""
    return watch.printed().count(b" mappings open\n")


def test_events_are_read_meanwhile(large):
    """While the writer stands still: tables go on, nothing is lost, the file is the old one, and that is said once."""
    with Watched() as watched, Watching("-a", "--inherited", "--samples", "0", interval="0.3") as watch:
        first_report(watch, watched.pid, large.pid)
        with stopped_writer(watch) as writer:
            before, stamp, told = tables(watch), watch.stamp(), watch.said().count(IN_THE_WAY)
            # More than the ring holds.
            subprocess.run([leftopen.workload("open_storm"), "2", "100000"], check=True)
            for _ in range(3):
                watched.tell("open", "/etc/hosts")
            processes.wait_until(lambda: tables(watch) > before + 5, "tables")
            assert watch.stamp() == stamp
            # Once, or it had been said before it was stopped.
            assert 1 <= watch.said().count(IN_THE_WAY) <= told + 1
        made = {("watched.py", "open_later", watching.line_of("open_later")): 3}
        processes.wait_until(lambda: watching.sites_of(watch.look(), watched.pid) == made, "the three")
        report = watch.look()
        assert report["completeness"]["lost"] == 0, report["completeness"]
        assert not {writer, watch.process.pid} & watching.pids(report)
        assert watch.interrupt() == 0
        assert os.listdir(watch.folder.name) == ["watch.json"]


def test_a_report_that_is_asked_for_while_one_is_written():
    """It comes once that one is there, though no interval ends."""
    with Watched() as watched, Watching("-p", str(watched.pid), interval="3600") as watch:
        watch.ask_for_table()
        with stopped_writer(watch, asks=True):
            stamp = watch.stamp()
            watched.tell("open", "/etc/hosts")
            watch.process.send_signal(signal.SIGUSR1)
            time.sleep(0.1)
            assert watch.stamp() == stamp
        made = {("watched.py", "open_later", watching.line_of("open_later")): 1}
        processes.wait_until(lambda: watching.sites_of(watch.look(), watched.pid) == made, "what was made meanwhile")


def test_a_disk_that_is_full():
    """The same words as of any report; it goes on, and says so in the end."""
    script = ("mount -t tmpfs -o size=4k none /mnt && cd /mnt && echo old > report && "
              "\"$0\" watch -p $$ --json report -q 0.2 3; echo $?; ls -A; cat report")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, leftopen.LEFTOPEN], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.stdout == b"125\nreport\nold\n", done.stderr
    words = b'leftopen: "report" was not written: the disk is full: the old file, if there was one, is as it was\n'
    assert done.stderr == words * 3
