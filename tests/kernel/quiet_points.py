"""Live sets held against the kernel's own tables, at points where nothing moves.

Purpose: everything on the machine is followed (`watch -a`, fixture `watch`). Programs run in a control group of
their own (fixture `group`). At a quiet point the group is frozen (cgroup-v2, cgroup.freeze), leftopen is asked for a
report, and the numbers and addresses that it has of each frozen process are held against /proc/PID/fd and
/proc/PID/maps: nothing missing, nothing phantom.
Inputs: the group's processes; with LEFTOPEN_WATCH=own only what the tests start is followed, for a machine on which
others make more events than can be followed. Outputs: an AssertionError that says what differs of which process.
"""

import contextlib
import json
import os
import subprocess

import pytest

import processes
import truth
import watching


COMMAND_LIMIT_S = 600


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
        """Put the calling process into the group."""
        self.write("cgroup.procs", "0")

    def processes(self):
        """Return the processes of the group, those that nobody has waited for left out."""
        return [pid for pid in map(int, self.read("cgroup.procs").split()) if os.path.exists("/proc/%d/exe" % pid)]

    @contextlib.contextmanager
    def frozen(self):
        """Nothing of the group runs inside of this."""
        self.write("cgroup.freeze", "1")
        try:
            processes.wait_until(lambda: "frozen 1" in self.read("cgroup.events"), "the group to freeze")
            yield
        finally:
            self.write("cgroup.freeze", "0")

    def kill(self):
        self.write("cgroup.kill", "1")
        processes.wait_until(lambda: not self.read("cgroup.procs"), "the group to end")

    def remove(self):
        self.kill()
        os.rmdir(self.path)


@pytest.fixture(scope="module")
def group():
    made = Group()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def watch():
    own = os.environ.get("LEFTOPEN_WATCH") == "own"
    selected = ["-p", str(os.getpid())] if own else ["-a"]
    # It reports when it is asked.
    with watching.Watching(*selected, "--inherited", "--samples", "0", "-q", interval="86400") as started:
        started.ask_for_table(validate=False)
        yield started
        assert started.interrupt() == 0, started.said()


@contextlib.contextmanager
def started(group, *command, **options):
    """Start a command in the group; all of the group is killed in the end."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    with subprocess.Popen(command, preexec_fn=group.enter, **options) as process:
        try:
            yield process
        finally:
            group.kill()


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
    missing = [(number, os.readlink("/proc/%d/fd/%d" % (pid, number))) for number in sorted(kernel_numbers - numbers)]
    found = {"missing": missing, "phantom": sorted(numbers - kernel_numbers),
             "unmapped": truth.subtract(ranges, mapped), "unseen": truth.subtract(made, ranges)}
    return {what: (len(items), items[:5]) for what, items in found.items() if items}


def compare(watch, group):
    """Freeze the group, and hold each of its processes against the kernel's tables; return their names."""
    with group.frozen():
        report = watch.ask_for_table(validate=False)
        frozen = group.processes()
        found = {pid: (processes.comm(pid), differences(report, pid)) for pid in frozen}
        completeness = json.dumps(report["completeness"])
        assert not {pid: what for pid, what in found.items() if what[1]}, completeness
        assert report["completeness"]["complete"], completeness
        return [processes.comm(pid) for pid in frozen]


def compare_while_running(watch, group, process, points, every_s):
    """Compare again and again while a command works; return its status and the names of all compared.

    There are at least so many points at which something of it was there, and at most five times as many.
    """
    compared = []
    while len(compared) < 5 * points:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(every_s)
            break
        names = compare(watch, group)
        compared += [names] if names else []
    assert len(compared) >= points, "only %d quiet points" % len(compared)
    return process.wait(COMMAND_LIMIT_S), {name for names in compared for name in names}


def work(watch, group, script, folder, points, every_s, env=None):
    """Run a script in a folder, compare while it works, and see that it came through; return what was compared."""
    path = folder / "work.sh"
    path.write_text("set -e\n" + script)
    with open(folder / "said.txt", "w+b") as said:
        with started(group, "/bin/bash", str(path), cwd=folder, env=env, stdout=said, stderr=said) as process:
            status, names = compare_while_running(watch, group, process, points, every_s)
        said.seek(0)
        assert status == 0, said.read().decode("utf-8", "replace")
    return names
