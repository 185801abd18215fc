"""The live sets of every process against the kernel's own tables, while stress-ng and ordinary programs work."""

import time

import pytest

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


@pytest.mark.parametrize("stressors", BATCHES, ids="-".join)
def test_stressors(watch, group, tmp_path, stressors):
    command = ["stress-ng", "--temp-path", str(tmp_path), "--timeout", "120"]
    for stressor in stressors:
        command += ["--" + stressor, "1"]
    # It leaves files where it is run.
    with quiet_points.started(group, *command, cwd=tmp_path):
        time.sleep(SECONDS)
        assert len(quiet_points.compare(watch, group)) > len(stressors)
