"""A process with a million descriptors, where its limit can be raised that far (CAP_SYS_RESOURCE).

Run by run.py on other kernels, in tests/kernel, whose helpers it uses. What it took is printed.
"""

import subprocess
import time

import leftopen
import truth
from watching import Watching

COUNT = 1000000
# What one held handle takes of leftopen at most, with all that it needs besides.
HANDLE_BYTES = 140
BESIDES_BYTES = 80 << 20

OPENS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (%d + 10, %d + 10))
null = os.open("/dev/null", os.O_RDONLY)
for _ in range(%d - 1):
    os.dup(null)
print("ready", flush=True)
sys.stdin.readline()
os.closerange(4, 4 + %d // 2)
print("closed", flush=True)
sys.stdin.readline()
""" % (COUNT, COUNT, COUNT, COUNT)


def say(what, began, report):
    """Print what it took."""
    print("%s: %.1f s, %d MiB, %s" % (what, time.monotonic() - began, report["self"]["rss_peak_bytes"] >> 20,
                                      report["completeness"]))


def assert_bounded(report):
    assert report["self"]["rss_peak_bytes"] < COUNT * HANDLE_BYTES + BESIDES_BYTES


def test_left_open():
    began = time.monotonic()
    result = leftopen.run(leftopen.PYTHON, "-c", OPENS, timeout=800)
    assert result.status == 0, result.stderr
    say("run", began, result.report)
    fds = [process["fds"] for process in result.report["processes"]]
    # Standard streams are inherited, and half was closed.
    assert [(some["live"], some["peak"]) for some in fds] == [(COUNT // 2 + 3, COUNT + 3)]
    assert sum(group["count"] for group in result.report["groups"] if group["kind"] == "fd") == COUNT // 2
    assert_bounded(result.report)


def test_there_before():
    process = subprocess.Popen([leftopen.PYTHON, "-c", OPENS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        began = time.monotonic()
        with Watching("-p", str(process.pid), interval="1") as watching:
            report = watching.report(lambda report: report["processes"], seconds=300)
            say("watch, first table", began, report)
            assert truth.process_of(report, process.pid)["fds"]["live"] == COUNT + 3
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"closed\n"
            began = time.monotonic()
            report = watching.report(
                lambda report: truth.process_of(report, process.pid)["fds"]["live"] == COUNT // 2 + 3, seconds=300)
            say("watch, half of them closed", began, report)
            assert report["completeness"]["complete"], report["completeness"]
            assert_bounded(report)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
