"""Pid and mount namespaces, as containers have: leftopen outside of them, and leftopen in one.

Purpose: ids in reports are those that leftopen's own namespace gives, and what is looked up in /proc is that process.
Inputs: unshare(1), nsenter(1). Outputs: assertions; the truth is what /proc says.
"""

import json
import os
import re
import subprocess

import pytest

import leftopen
import processes
import truth
import watching
from watching import Watched, Watching

# unshare's only child is the namespace's first process; it is killed with unshare.
CONTAINER = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
OPENED = ("watched.py", "open_later", watching.line_of("open_later"))


def ids(pid):
    """Return the ids of a process, from the outermost namespace that /proc knows to its own."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return [int(number) for number in re.search(r"^NSpid:(.*)$", file.read(), re.M)[1].split()]


def inside(pid, *command, **options):
    """Run a command in the namespaces of a process, as `docker exec` does."""
    return subprocess.run(["nsenter", "--target", str(pid), "--pid", "--mount", *command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False, **options)


def load(path):
    """Return a report, validated."""
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    leftopen.validate(report)
    return report


def test_watched_from_outside(tmp_path):
    """A process in a container: the machine's id of it, the paths that it has itself, and its cgroup's name."""
    mount = ["sh", "-c", 'mount -t tmpfs none "$0" && touch "$0/only-there" && "$@"', str(tmp_path)]
    with Watched(parent=[*CONTAINER, *mount]) as watched:
        pid = processes.children(watched.pid)[0]
        assert ids(pid)[0] == pid and len(ids(pid)) == 2
        with Watching("-p", str(pid), "--inherited", "--samples", "0") as watch:
            watch.follows(pid)
            number = int(watched.tell("open", str(tmp_path / "only-there")))
            assert not (tmp_path / "only-there").exists()
            report = watch.report(lambda report: watching.sites_of(report, pid) == {OPENED: 1}, "its site")
            assert watching.live_descriptors(report, pid) == watching.descriptors_of(pid)
            assert watching.live_descriptors(report, pid)[number] == str(tmp_path / "only-there")
            assert truth.left_open_ranges(report, pid) == watching.mappings_of(pid)
            with open("/proc/%d/cgroup" % pid, encoding="ascii") as file:
                assert ":%s\n" % truth.process_of(report, pid)["cgroup"] in file.read()


def test_watch_in_a_container(container, tmp_path):
    """-p takes the container's own id, and -a follows what is in there: both say so, and are exact."""
    watched, own = container, ids(container.pid)[-1]
    with Watched() as other:
        watched.tell("open", "/etc/hosts")
        for selection in (["-p", str(own)], ["-a"]):
            path = tmp_path / "report.json"
            done = inside(watched.pid, leftopen.LEFTOPEN, "watch", *selection, "--inherited", "--samples", "0",
                          "--json", str(path), "0.3", "2")
            assert done.returncode == 0, done.stderr
            report = load(path)
            assert watching.pids(report) == {own}
            assert watching.live_descriptors(report, own) == watching.descriptors_of(watched.pid)
            assert truth.left_open_ranges(report, own) == watching.mappings_of(watched.pid)
            assert truth.process_of(report, own)["cmdline"][1:] == [watching.WATCHED]
            assert report["completeness"]["complete"], report["completeness"]
            assert (b"in a container's pid namespace: -a follows the processes in it" in done.stderr) == (
                selection == ["-a"])
        done = inside(watched.pid, leftopen.LEFTOPEN, "watch", "-p", str(other.pid), "0.3", "1")
        assert done.returncode == 125 and b"there is no process %d" % other.pid in done.stderr


FAMILY = """
import json, os, threading
child = os.fork()
if child == 0:
    held = os.open("/etc/hosts", os.O_RDONLY)
    told = [int(os.readlink("/proc/self")), os.getppid(), threading.get_native_id()]
    os.write(1, (json.dumps(told) + "\\n").encode())
    os._exit(0)
held = os.pidfd_open(child)
told = [int(os.readlink("/proc/self")), os.getppid(), child]
os.waitpid(child, 0)
os.write(1, (json.dumps(told) + "\\n").encode())
"""


@pytest.fixture(name="container", scope="module")
def _container():
    """A process in namespaces of its own, which last as long as it does."""
    with Watched(parent=CONTAINER) as watched:
        yield watched


def test_run_in_a_container(container, tmp_path):
    """Processes, their parents, threads and the targets of pidfds have the ids that they have in there."""
    path = tmp_path / "report.json"
    done = inside(container.pid, leftopen.LEFTOPEN, "run", "--json", str(path), "--", leftopen.PYTHON, "-c", FAMILY)
    assert done.returncode == 0, done.stderr
    (child, parent_of_child, thread), (parent, first, named) = (json.loads(line) for line in done.stdout.splitlines())
    assert child == named and parent_of_child == parent
    assert os.readlink("/proc/%d/ns/pid" % container.pid) != os.readlink("/proc/self/ns/pid")
    report = load(path)
    assert report["completeness"]["complete"], report["completeness"]
    assert {(process["pid"], process["ppid"]) for process in report["processes"]} == {(parent, first), (child, parent)}
    samples = {(group["pid"], sample["target"], sample["tid"]) for group in truth.groups_of(report, "fd")
               for sample in group["samples"]}
    assert samples == {(child, "/etc/hosts", thread), (parent, "pidfd of %d" % child, parent)}


def test_a_container_in_a_container(container, tmp_path):
    """What is deeper has the id that leftopen's namespace gives it: neither its own nor the machine's."""
    path = tmp_path / "report.json"
    # /proc stays that of the outer container, so that it says the id that is expected.
    tell = "import os; held = os.open('/etc/hosts', 0); print(os.getpid(), os.readlink('/proc/self'))"
    done = inside(container.pid, leftopen.LEFTOPEN, "run", "--json", str(path), "--", "unshare", "--pid", "--fork",
                  leftopen.PYTHON, "-c", tell)
    assert done.returncode == 0, done.stderr
    deepest, middle = (int(number) for number in done.stdout.split())
    assert deepest == 1 and middle > 1
    report = load(path)
    assert report["completeness"]["complete"], report["completeness"]
    group = next(group for group in truth.groups_of(report, "fd") if group["samples"][0]["target"] == "/etc/hosts")
    assert (group["pid"], group["samples"][0]["tid"]) == (middle, middle)


@pytest.mark.parametrize("arguments", [["run", "--json=report.json", "--", "touch", "ran"], ["watch", "-a", "0.1", "1"],
                                       ["doctor"]])
def test_proc_of_another_namespace(arguments, tmp_path):
    """Numbers in /proc would be those of other processes: nothing is followed, and it is said what to do."""
    done = subprocess.run(["unshare", "--pid", "--fork", leftopen.LEFTOPEN, *arguments], cwd=tmp_path,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    remedy = b"mount it: mount -t proc proc /proc (unshare has --mount-proc)"
    assert os.listdir(tmp_path) == []
    if arguments == ["doctor"]:
        assert done.returncode == 1
        assert re.search(rb"^  missing  /proc of this pid namespace .*: %s$" % re.escape(remedy), done.stdout, re.M)
        return
    assert done.returncode == 125 and done.stdout == b""
    assert done.stderr == (b"leftopen: cannot follow processes on this machine: there is no /proc of this pid "
                           b"namespace, needed to look processes up. What to do: %s\n" % remedy)
