"""The live sets of every process against the kernel's own tables, while stress-ng makes and releases all it can.

Everything on the machine is followed (`watch -a`). The stressors run in a control group of their own; at a quiet
point the group is frozen (cgroup-v2, cgroup.freeze), leftopen is asked for a report, and the numbers and addresses
that it has of each frozen process are held against /proc/PID/fd and /proc/PID/maps: nothing missing, nothing phantom.
"""

import json
import os
import signal
import subprocess
import time

import pytest

import leftopen
import truth

SECONDS = 3
# Several at once, as on a machine that is busy with different things.
BATCHES = [
    ["close", "dup", "fcntl", "open"],
    ["epoll", "eventfd", "pipe", "timerfd"],
    ["memfd", "mmap", "mremap", "munmap"],
    ["fork", "sock", "sockfd", "vfork"],
    ["brk", "mmapfixed", "shm", "shm-sysv"],
    ["clone", "dir", "inotify", "sockpair"],
    ["exec", "mmapfork", "poll", "udp"],
    ["file-ioctl", "flock", "lockf", "sigfd"],
]


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited %d s for %s" % (seconds, what)
        time.sleep(0.01)


def unified_root():
    """Return where the cgroup-v2 hierarchy is mounted."""
    with open("/proc/mounts", encoding="utf-8") as file:
        return next(line.split()[1] for line in file if line.split()[2] == "cgroup2")


class Group:
    """A control group that can be frozen."""

    def __init__(self):
        self.path = os.path.join(unified_root(), "leftopen-test-%d" % os.getpid())
        os.mkdir(self.path)

    def read(self, name):
        with open(os.path.join(self.path, name), encoding="utf-8") as file:
            return file.read()

    def write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="utf-8") as file:
            file.write(text)

    def enter(self):
        self.write("cgroup.procs", "0")

    def processes(self):
        return [int(line) for line in self.read("cgroup.procs").split()]

    def freeze(self):
        self.write("cgroup.freeze", "1")
        wait_for(lambda: "frozen 1" in self.read("cgroup.events"), "the group to freeze")

    def kill(self):
        self.write("cgroup.freeze", "0")
        self.write("cgroup.kill", "1")
        wait_for(lambda: not self.processes(), "the group to end")

    def remove(self):
        self.kill()
        os.rmdir(self.path)


class Watch:
    """`leftopen watch -a`, which reports when it is asked."""

    def __init__(self, folder):
        self.json = str(folder / "live.json")
        self.process = subprocess.Popen(
            [leftopen.LEFTOPEN, "watch", "-a", "--inherited", "--samples", "0", "-q", "--json", self.json, "86400"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # Until it has taken its signals over, one would end it.
        wait_for(lambda: self.blocks(signal.SIGUSR1), "leftopen to start")
        self.report()

    def blocks(self, number):
        with open("/proc/%d/status" % self.process.pid, encoding="utf-8") as file:
            blocked = next(line.split()[1] for line in file if line.startswith("SigBlk:"))
        return int(blocked, 16) >> (number - 1) & 1

    def report(self):
        before = os.stat(self.json).st_ino if os.path.exists(self.json) else None
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: os.path.exists(self.json) and os.stat(self.json).st_ino != before, "a report", 60)
        with open(self.json, encoding="utf-8") as file:
            return json.load(file)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture(scope="module")
def group():
    made = Group()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def watch(tmp_path_factory):
    started = Watch(tmp_path_factory.mktemp("watch"))
    yield started
    assert started.stop() == 0


def live_set(report, pid):
    """Return the numbers and the addresses that the report has of a process."""
    numbers, ranges = set(), []
    for found in report["groups"]:
        if found["pid"] != pid:
            continue
        for sample in found["samples"]:
            if found["kind"] == "fd":
                assert sample["fd"] not in numbers, "number %d twice" % sample["fd"]
                numbers.add(sample["fd"])
            else:
                ranges.append((int(sample["addr"], 16), int(sample["addr"], 16) + sample["bytes"]))
    joined = truth.union(ranges)
    assert truth.size(joined) == truth.size(ranges), "ranges overlap"
    return numbers, joined


def kernel_set(pid):
    """Return the numbers, the addresses that calls have mapped, and all addresses of a process.

    What execve(2) mapped is left out: the program's own file and its .bss behind it, the loader, what is in brackets.
    """
    made, mapped, before = [], [], ""
    program = os.readlink("/proc/%d/exe" % pid)
    with open("/proc/%d/maps" % pid, encoding="utf-8") as file:
        for line in file:
            fields = line.split(None, 5)
            addresses = tuple(int(part, 16) for part in fields[0].split("-"))
            name = fields[5].strip() if len(fields) > 5 else ""
            image = name == program or "/ld-linux" in name or (not name and before == program)
            before = name
            mapped.append(addresses)
            if not image and (not name.startswith("[") or name == "[heap]"):
                made.append(addresses)
    return {int(name) for name in os.listdir("/proc/%d/fd" % pid)}, truth.union(made), truth.union(mapped)


def differences(report, pid):
    """Return {what: difference} of a frozen process, {} where there is none."""
    numbers, ranges = live_set(report, pid)
    kernel_numbers, made, mapped = kernel_set(pid)
    found = {"missing": sorted(kernel_numbers - numbers), "phantom": sorted(numbers - kernel_numbers),
             "unmapped": truth.subtract(ranges, mapped), "unseen": truth.subtract(made, ranges)}
    return {what: (len(items), items[:5]) for what, items in found.items() if items}


@pytest.mark.parametrize("stressors", BATCHES, ids="-".join)
def test_live_sets(watch, group, tmp_path, stressors):
    command = ["stress-ng", "--temp-path", str(tmp_path), "--timeout", "120"]
    for stressor in stressors:
        command += ["--" + stressor, "1"]
    with subprocess.Popen(command, preexec_fn=group.enter, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(SECONDS)
            group.freeze()
            report = watch.report()
            frozen = group.processes()
            assert len(frozen) > len(stressors)
            found = {pid: differences(report, pid) for pid in frozen if os.path.exists("/proc/%d/exe" % pid)}
            assert not {pid: what for pid, what in found.items() if what}, report["completeness"]
            assert report["completeness"]["complete"], report["completeness"]
        finally:
            group.kill()
    assert process.returncode
