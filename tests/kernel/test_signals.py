"""Signals, processes that outlive the command, and leftopen's own death."""

import json
import os
import signal
import subprocess
import time

import pytest

import leftopen
import processes

# Says that it is ready once its handlers stand.
HANDLER = """
import os, signal, sys
def take(number, frame):
    print("got", number, flush=True)
    sys.exit(9)
signal.signal(signal.%s, take)
print("ready", flush=True)
sys.stdin.readline()
print("went on", flush=True)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signal_is_handed_to_the_command(name):
    number = getattr(signal, name)
    with processes.leftopen_running("run", "--", leftopen.PYTHON, "-c", HANDLER % name) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        # Before communicate(): it closes the command's input.
        assert process.stdout.readline() == b"got %d\n" % number
        out, text = process.communicate(timeout=processes.DEADLINE_S)
    assert out == b""
    assert process.returncode == 9
    assert text.startswith(b"leftopen: no leak")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_that_kills_the_command_kills_leftopen_after_the_report(number):
    with processes.leftopen_running("run", "--", "sh", "-c", "echo ready; exec sleep 1000") as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        _, text = process.communicate(timeout=processes.DEADLINE_S)
    assert process.returncode == -number
    assert text.startswith(b"leftopen: no leak")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE])
def test_what_a_terminal_sends_is_not_for_leftopen(number):
    """From a terminal the command gets it too, and decides: test_terminal.py."""
    with processes.leftopen_running("run", "--", "sh", "-c", "echo ready; read line; exit 4") as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        _, text = process.communicate(b"\n", timeout=processes.DEADLINE_S)
    assert process.returncode == 4
    assert text.startswith(b"leftopen: no leak")


def test_sigusr1_prints_a_report_and_goes_on():
    program = ("import os, sys\n"
               "fd = os.open('/etc/hostname', os.O_RDONLY)\n"
               "print('ready', flush=True)\n"
               "sys.stdin.readline()\n"
               "os.close(fd)\n")
    with processes.leftopen_running("run", "--", leftopen.PYTHON, "-c", program) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        first = process.stderr.readline()
        assert first.startswith(b"leftopen: no leak, but 1 descriptor was open in python3"), first
        line = first
        while not line.startswith(b"complete: "):
            line = process.stderr.readline()
            assert line, "the report has no end"
        assert process.poll() is None
        _, text = process.communicate(b"\n", timeout=processes.DEADLINE_S)
    assert process.returncode == 0
    # It was closed meanwhile: the last report counts anew.
    assert text.startswith(b"leftopen: no leak: ")


def test_sigterm_before_the_command_runs_is_not_lost():
    """leftopen takes some time before it lets the command go: a signal then is the command's all the same."""
    with processes.leftopen_running("run", "--", "sleep", "1000") as process:
        processes.wait_until(lambda: processes.children(process.pid), "leftopen to make the command's process")
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=processes.DEADLINE_S)
    assert process.returncode == -signal.SIGTERM
    assert text.startswith(b"leftopen: no leak")


# Processes that outlive the command

def test_a_child_that_outlives_the_command_is_listed_and_goes_on(tmp_path):
    """It holds a file open, and nothing of what leftopen's caller waits for."""
    program = """
import os
read_end, write_end = os.pipe()
child = os.fork()
if child:
    os.read(read_end, 1)
    print(child, flush=True)
    os._exit(0)
os.setsid()
os.open("held", os.O_RDONLY | os.O_CREAT)
null = os.open("/dev/null", os.O_RDWR)
for stream in range(3):
    os.dup2(null, stream)
os.write(write_end, b"!")
os.open("go-on", os.O_RDONLY)
os.open("went-on", os.O_RDONLY | os.O_CREAT)
"""
    os.mkfifo(tmp_path / "go-on")
    result = leftopen.run(leftopen.PYTHON, "-c", program, cwd=tmp_path, timeout=60)
    child = int(result.stdout)
    with processes.killed_at_end(child):
        assert result.status == 0
        survivor = next(process for process in result.report["processes"] if process["pid"] == child)
        assert not survivor["exited"]
        assert survivor["left_open_at"] == "live"
        held = [sample["target"] for group in result.report["groups"] if group["pid"] == child
                for sample in group["samples"] if group["kind"] == "fd"]
        assert str(tmp_path / "held") in held
        assert "pid %d" % child in result.stderr and "still run" in result.stderr
        assert processes.is_running(child)
        with open(tmp_path / "go-on", "wb"):
            pass
        processes.wait_until((tmp_path / "went-on").exists, "the child to go on as if nothing had been")


def test_reparented_descendants_are_followed(tmp_path):
    """A daemon's way: fork, setsid, fork; what it leaves open after its parents are gone is seen."""
    program = """
import os, sys, time
read_end, write_end = os.pipe()
if os.fork():
    os.close(write_end)
    print(os.read(read_end, 100).decode(), flush=True)
    os.read(read_end, 100)  # until the shell has ended, which keeps the other end
    os._exit(0)
os.setsid()
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.01)
os.environ["PYTEST_CURRENT_TEST"] = "late"
os.open(sys.argv[1], os.O_RDONLY | os.O_CREAT)
os.write(write_end, b"%d" % os.getpid())
os.set_inheritable(write_end, True)
os.execv("/bin/sh", ["sh", "-c", "exec 7<%s; exit 5" % sys.argv[1]])
"""
    target = str(tmp_path / "opened-late")
    result = leftopen.run(leftopen.PYTHON, "-c", program, target)
    pid = int(result.stdout)
    entry = next(process for process in result.report["processes"] if process["pid"] == pid)
    opened = [(sample["target"], group["pid"]) for group in result.report["groups"] if group["kind"] == "fd"
              for sample in group["samples"]]
    assert entry["cmdline"][0] == "sh"
    assert (target, pid) in opened


def test_the_report_does_not_wait_for_what_detaches():
    """A pipe's reader sees its end when leftopen ends, though a child detaches for seconds after that."""
    read_end, write_end = os.pipe()
    with processes.leftopen_running("run", "--", "sh", "-c", "echo ready; read line", stderr=write_end) as process:
        os.close(write_end)
        pipe = os.stat(read_end).st_ino
        assert process.stdout.readline() == b"ready\n"
        holder = next(child for child in processes.children(process.pid)
                      if processes.comm(child) == "leftopen-detach")
        held = [os.readlink("/proc/%d/fd/%s" % (holder, fd)) for fd in os.listdir("/proc/%d/fd" % holder)]
        assert held
        assert all(target.startswith(("anon_inode:", "socket:")) for target in held), held
        assert "pipe:[%d]" % pipe not in held
        assert os.getsid(holder) == holder
        process.communicate(b"\n", timeout=processes.DEADLINE_S)
        ended = time.monotonic()
        with open(read_end, "rb") as reader:
            text = reader.read()
        # Detaching takes the kernel some 70 ms for each of the links.
        assert time.monotonic() - ended < 1
    assert text.startswith(b"leftopen: no leak")


# leftopen's own death

def ids_held(pid):
    """Return the ids of the BPF programs and links that a process holds."""
    found = {"prog_id": set(), "link_id": set()}
    for fd in os.listdir("/proc/%d/fdinfo" % pid):
        with open("/proc/%d/fdinfo/%s" % (pid, fd), encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                # A link tells its program's id as well.
                if name in found:
                    found[name].add(int(value))
    return found["prog_id"], found["link_id"]


def ids_in_kernel(what):
    done = subprocess.run(["bpftool", "-j", what, "show"], stdout=subprocess.PIPE, check=True)
    return {entry["id"] for entry in json.loads(done.stdout)}


def test_sigkill_detaches_and_the_command_goes_on():
    # The kernel lets go of tracepoints one after the other: what runs before ended would be measured too.
    before = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()
              and processes.comm(int(entry)) == "leftopen-detach"]
    processes.wait_until(lambda: not any(map(processes.is_running, before)), "what ran before to be detached",
                         seconds=120)
    with processes.leftopen_running("run", "--", "sh", "-c", "echo $$; read line; echo went on") as process:
        command = int(process.stdout.readline())
        programs, links = ids_held(process.pid)
        holder = next(child for child in processes.children(process.pid)
                      if processes.comm(child) == "leftopen-detach")
        assert len(programs) > 20 and len(links) > 20
        assert programs <= ids_in_kernel("prog") and links <= ids_in_kernel("link")

        process.kill()
        # A link's id goes before it is detached; the child ends when all is done.
        processes.wait_until(
            lambda: not (processes.is_running(holder) or links & ids_in_kernel("link")
                         or programs & ids_in_kernel("prog")),
            "nothing to be attached and nobody to hold it", seconds=10)
        assert process.wait(processes.DEADLINE_S) == -signal.SIGKILL
        assert processes.is_running(command)
        out, _ = process.communicate(b"\n", timeout=processes.DEADLINE_S)
        assert out == b"went on\n"


def test_sigkill_before_the_command_runs_leaves_nothing(tmp_path):
    """A command that was never let go does not run without leftopen, and does not wait for ever."""
    with processes.leftopen_running("run", "--json", str(tmp_path / "report.json"), "--",
                                    "touch", str(tmp_path / "ran")) as process:
        waiting = processes.wait_until(lambda: processes.children(process.pid), "the command's process")[0]
        process.kill()
        process.wait(processes.DEADLINE_S)
        processes.wait_until(lambda: not processes.is_running(waiting), "the command's process to end")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "report.json").exists()
