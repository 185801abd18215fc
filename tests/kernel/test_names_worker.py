"""The worker that reads ELF and DWARF for names: how it is confined, and what happens where it ends or hangs."""

import contextlib
import json
import os
import signal
import subprocess

import pytest

import leftopen
import processes
import watching

PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int first(void) { return open("/dev/null", O_RDONLY) + 1; }
__attribute__((noinline)) int second(void) { return open("/dev/zero", O_RDONLY) + 1; }
int main(void)
{
	char line[8];
	int sum = 0;

	for (int i = 0; i < 5; i++)
		sum += first();
	puts("first");
	fflush(stdout);
	if (read(0, line, 1) < 0)
		return 1;
	for (int i = 0; i < 5; i++)
		sum += second();
	return sum == 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program that leaves descriptors open in a function, waits for a byte, and does so in another one."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "opens.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-O1", "-fno-omit-frame-pointer", "-o", folder / "opens", folder / "opens.c"],
                   check=True)
    return str(folder / "opens")


def worker_of(pid):
    """Return the worker of leftopen, or None."""
    return next((child for child in processes.children(pid) if processes.comm(child) == "leftopen-names"), None)


@contextlib.contextmanager
def with_worker(path, program):
    """leftopen, whose command waits for a byte, and its worker, which has given the names of a first summary."""
    with processes.leftopen_running("run", "--stacks=full", "--json", str(path), "--", program) as process:
        assert process.stdout.readline() == b"first\n"
        process.send_signal(signal.SIGUSR1)
        yield process, processes.wait_until(lambda: worker_of(process.pid), "a worker")


def wait_for_summary(process):
    """Wait until the summary that was asked for is there: its last line."""
    for line in process.stderr:
        if line.startswith(b"complete: ") or line.startswith(b"not complete: "):
            return
    raise AssertionError("no summary")


def finish(process, path):
    """Let the command go on and end; return what leftopen said, and its report."""
    _, said = process.communicate(b"\n", timeout=60)
    report = json.loads(path.read_text())
    leftopen.validate(report)
    return said.decode(), report


def functions(report):
    """Return the names of all frames."""
    return {frame["function"] for stack in report["stacks"].values() for frame in stack["frames"]}


def test_is_confined(tmp_path, program):
    with with_worker(tmp_path / "report.json", program) as (process, worker):
        wait_for_summary(process)
        with open("/proc/%d/status" % worker, encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[field], 16) == 0, field
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert status["Uid"] == "\t".join(["65534"] * 4)
        assert status["Threads"] == "1"
        with open("/proc/%d/limits" % worker, encoding="ascii") as file:
            limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
        assert limits["Max core file size"] == ["0", "0"]
        assert limits["Max processes"] == ["0", "0"]
        assert "unlimited" not in limits["Max address space"] + limits["Max cpu time"] + limits["Max open files"]
        with open("/proc/%d/environ" % worker, "rb") as file:
            assert file.read() == b""
        # Its socket and the files that it was sent: nothing of the kernel's, of the command's, of the report's.
        held = {os.readlink("/proc/%d/fd/%s" % (worker, fd)) for fd in os.listdir("/proc/%d/fd" % worker)}
        others = {target for target in held if not target.startswith("socket:[")} - {"/dev/null"}
        assert len(held - others) == 2, held
        assert program in others
        for target in others:
            with open(target, "rb") as file:
                assert file.read(4) == b"\x7fELF", target
        finish(process, tmp_path / "report.json")


def test_killed_midway(tmp_path, program):
    path = tmp_path / "report.json"
    with with_worker(path, program) as (process, worker):
        wait_for_summary(process)
        os.kill(worker, signal.SIGKILL)
        processes.wait_until(lambda: not processes.is_running(worker), "the worker to end")
        said, report = finish(process, path)
        assert {"first", "second", "main"} <= functions(report)
        assert report["completeness"]["complete"], said


def test_that_hangs_costs_a_file_its_names(tmp_path, program):
    path = tmp_path / "report.json"
    with with_worker(path, program) as (process, worker):
        wait_for_summary(process)
        os.kill(worker, signal.SIGSTOP)
        said, report = finish(process, path)
        # The places that were named by then still are.
        assert {"first", "main"} <= functions(report)
        assert "second" not in functions(report)
        assert not report["completeness"]["complete"]
        assert any("1 files could not be read for names" in why for why in report["completeness"]["why"])
        assert "could not be read for names" in said
        assert sum(group["count"] for group in report["groups"]) >= 10, "what is left open is told all the same"
        assert not processes.is_running(worker)


def test_nothing_is_left_in_the_end(tmp_path, program):
    with with_worker(tmp_path / "report.json", program) as (process, worker):
        wait_for_summary(process)
        finish(process, tmp_path / "report.json")
        assert not processes.is_running(worker)


def test_sigkill_leaves_no_worker(tmp_path, program):
    with with_worker(tmp_path / "report.json", program) as (process, worker):
        wait_for_summary(process)
        command = next(child for child in processes.children(process.pid) if processes.comm(child) == "opens")
        with processes.killed_at_end(command):
            process.kill()
            processes.wait_until(lambda: not processes.is_running(worker), "the worker to end")


def test_is_not_followed(tmp_path):
    """Also by who follows all processes: as it is started, and by the surveys after that."""
    (tmp_path / "file").touch()
    with watching.Watched() as watched, watching.Watching("-a") as watch:
        watch.follows(watched.pid)
        for _ in range(5):
            watched.tell("open", tmp_path / "file")
        watch.ask_for_table()
        worker = processes.wait_until(lambda: worker_of(watch.process.pid), "a worker")
        watch.ask_for_table()
        # The next survey is due after five seconds.
        report = watch.report(lambda report, since=watching.taken_at(watch.look()): watching.taken_at(report) > since + 6,
                              "a report after a survey")
        assert worker_of(watch.process.pid) == worker
        assert watched.pid in watching.pids(report)
        assert worker not in watching.pids(report)
