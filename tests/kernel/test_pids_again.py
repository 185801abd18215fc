"""A pid that is given again: what one process did is never the other's."""

import os

import leftopen
import processes
import truth
import watching
from watching import Watched, Watching

AGAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "again.py")
CHILDREN = 4


def test_children_that_follow_each_other():
    """Each is there, with what it left open; its numbers from 100 on are those that no child before it had."""
    result = leftopen.run(leftopen.PYTHON, AGAIN, str(CHILDREN), options=["--samples", "0"])
    assert result.status == 0, result.stderr
    pid = int(result.stdout)
    children = [index for index, process in enumerate(result.report["processes"]) if process["pid"] == pid]
    assert sorted(result.report["processes"][index]["exit_code"] for index in children) == list(range(1, CHILDREN + 1))
    for index in children:
        count = result.report["processes"][index]["exit_code"]
        left = [sample["fd"] for group in truth.groups_of(result.report, "fd", pid) if group["process"] == index
                for sample in group["samples"] if sample["fd"] >= 100]
        assert sorted(left) == list(range(100, 100 + count))


def test_another_process_of_a_watched_pid():
    """It is not followed where the pid's first process was asked for, and told apart from that one where all are."""
    with Watched() as other, Watched("/dev/zero") as first:
        with Watching("-p", "%d,%d" % (first.pid, other.pid)) as watch, Watching("-a", "--inherited") as watch_all:
            watch.follows(first.pid, other.pid)
            watch_all.report(lambda report: first.pid in watching.pids(report), "all")
            first.tell("open", "/dev/full")
            watch_all.report(lambda report: "/dev/full" in
                             watching.live_descriptors(report, first.pid).values(), "its descriptor")
            first.end()
            with Watched("/dev/null", parent=[leftopen.PYTHON, AGAIN, str(first.pid)]) as second:
                assert second.pid == first.pid
                held = watching.descriptors_of(second.pid)
                watch_all.report(lambda report: first.pid in watching.pids(report) and
                                 watching.live_descriptors(report, second.pid) == held, "the second's descriptors")
                watch.report(lambda report: first.pid not in watching.pids(report), "the first is gone")
                processes.wait_until(lambda: b"gone: pid %d\n" % first.pid in watch.printed(), "that is told")
                assert watching.pids(watch.ask_for_table()) == {other.pid}
