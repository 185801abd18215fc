"""The live sets of every process against the kernel's own tables, while stress-ng and ordinary programs work."""

import sys
import time

import pytest

import processes
import quiet_points

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
# It is killed, and its shared memory would outlive it.
WITHOUT_REMAINS = ["unshare", "--ipc", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh"]


@pytest.mark.parametrize("stressors", BATCHES, ids="-".join)
def test_stressors(watch, group, tmp_path, stressors):
    command = [*WITHOUT_REMAINS, "stress-ng", "--temp-path", str(tmp_path), "--timeout", "120"]
    for stressor in stressors:
        command += ["--" + stressor, "1"]
    # It leaves files where it is run.
    with quiet_points.started(group, *command, cwd=tmp_path):
        time.sleep(SECONDS)
        assert len(quiet_points.compare(watch, group)) > len(stressors)


CLONES_AND_WAITS = """
import ctypes, signal, time
CLONE, CLONE_PIDFD, CLONE_VFORK = 56, 0x1000, 0x4000
pidfd = ctypes.c_int(-1)
flags = CLONE_PIDFD | CLONE_VFORK | signal.SIGCHLD
if ctypes.CDLL(None).syscall(CLONE, flags, None, ctypes.byref(pidfd), None, None) == 0:
    time.sleep(600)
"""


def test_pidfd_of_a_call_that_has_not_returned(watch, group):
    with quiet_points.started(group, sys.executable, "-c", CLONES_AND_WAITS):
        processes.wait_until(lambda: len(group.processes()) == 2, "the child")
        assert len(quiet_points.compare(watch, group)) == 2
