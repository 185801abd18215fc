"""`leftopen watch` of a program that forks without end, as tests/kernel/test_fork_bomb.py has it under `leftopen run`."""

import os
import subprocess

import fork_bombs
import leftopen
import processes
import truth
import watching
from watching import Watching


def test_watch(tmp_path):
    """Those that live are listed at each interval; what is gone takes no memory, and nothing of it stays."""
    count_path = tmp_path / "made"
    with fork_bombs.Bounded("leftopen-test-bomb-%d" % os.getpid(), fork_bombs.AT_ONCE) as group, watching.Watched() as other:
        with subprocess.Popen(group.command(leftopen.workload("fork_bomb"), str(count_path)), stdin=subprocess.PIPE) as bomb:
            processes.wait_until(count_path.exists, "the bomb is there")
            with Watching("-p", "%d,%d" % (bomb.pid, other.pid), interval="0.5") as watch:
                watch.follows(bomb.pid, other.pid)
                fork_bombs.let_it_go_off(bomb, count_path)
                group.kill()
                bomb.wait()
                report = watch.report(lambda report: watching.pids(report) == {other.pid}, "the bomb is gone")
                assert truth.process_of(report, other.pid)["fds"]["live"] == len(watching.descriptors_of(other.pid))
                assert report["self"]["rss_peak_bytes"] < fork_bombs.BASE_BYTES
                assert watch.interrupt() == 0
                assert report["completeness"]["complete"] or "not complete: " in watch.printed().decode()
