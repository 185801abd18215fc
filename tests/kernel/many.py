"""Processes with very many descriptors or mappings (workloads/many.c), for tests of what is told of them.

Purpose: Many is such a process; the rest holds reports of `leftopen watch` against what /proc says of it.
Inputs: how many; it makes fewer where the kernel allows no more: RLIMIT_NOFILE's hard limit where root may not raise it
(20,000 on the usual test machine; a million under qemu), vm.max_map_count. Outputs: figures, assertions.
"""

import os
import subprocess

import leftopen
import processes
import truth
import watching

# Beyond what leftopen takes without any of them: measured are 700 bytes for each that is known with its maker, the report
# included.
BASE_BYTES = 64 << 20
BYTES_EACH = 1000


class Many:
    """A process that has made very many; use it in a with statement."""

    def __init__(self, what, count):
        self.process = subprocess.Popen([leftopen.workload("many"), what, str(count)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.made = self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(processes.DEADLINE_S)
        self.process.stdin.close()
        self.process.stdout.close()

    def answer(self):
        """Return how many it says that it has now."""
        return int(self.process.stdout.readline().split()[1])

    def turn(self):
        """Have it release them all by one call, or make them anew; return how many it has now."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self.answer()


def held(pid, what):
    """Return how many descriptors, or how many bytes of mappings, /proc says that a process has."""
    return len(os.listdir("/proc/%d/fd" % pid)) if what == "descriptors" else truth.size(watching.mappings_of(pid))


def told(report, pid, what):
    """Return the same as a report says it, None where it does not know the process."""
    process = next((process for process in report["processes"] if process["pid"] == pid), None)
    return process and (process["fds"]["live"] if what == "descriptors" else process["maps"]["bytes"])


def wait_for(watch, pid, what):
    """Wait for a report that has of the process what it has now; return it."""
    wanted, seen = held(pid, what), []

    def holds():
        # Reading a long one takes a second.
        stamp = watch.stamp()
        if not stamp or stamp in seen:
            return None
        seen.append(stamp)
        report = watch.look()
        return report if told(report, pid, what) == wanted else None
    return processes.wait_until(holds, "%d of %s; %s" % (wanted, what, watch.said()), 240)


def check_memory(report, count, ring_mb=16):
    """A ring is mapped twice in a row, so that what wraps around its end can be read at once."""
    most = BASE_BYTES + (2 * ring_mb << 20) + BYTES_EACH * count
    assert report["self"]["rss_peak_bytes"] < most, (report["self"], count)


def assert_is_now(report, pid):
    """The live set is what /proc says: every number, every address."""
    assert {sample["fd"] for group in truth.groups_of(report, "fd", pid) for sample in group["samples"]} == set(
        watching.descriptors_of(pid))
    assert truth.left_open_ranges(report, pid) == watching.mappings_of(pid)


def check_watched(what, count, is_each_compared):
    """Watch a process that has very many, releases them and makes them anew."""
    with Many(what, count) as process:
        print("%d %s" % (process.made, what))
        # Each of a million is a file of 200 MB.
        is_each_compared = is_each_compared and process.made <= 100000
        samples = ["--inherited", "--samples", "0"] if is_each_compared else []
        with watching.Watching("-p", str(process.pid), "--ring-size", "64K", *samples, interval="0.5") as watch:
            for _ in range(2):
                report = wait_for(watch, process.pid, what)
                assert report["completeness"]["complete"], report["completeness"]
                assert report["sites"] == []
                if is_each_compared:
                    assert_is_now(report, process.pid)
                check_memory(report, process.made)
                made = process.turn()
            # Made anew faster than a ring of that size is read: not all have their maker, and none is missing.
            assert made == process.made
            wait_for(watch, process.pid, what)
            process.process.stdin.close()
            assert watch.process.wait(240) == 0
