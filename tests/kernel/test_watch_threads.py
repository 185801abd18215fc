"""What threads share is told of once by each survey, though some have tables of their own."""

import os

import truth
from watching import Watched, Watching, descriptors_of, mappings_of

APART = 5


def numbers_of_all_threads(pid):
    """Return how many numbers the tables of a process hold: that of its leader, and each of its other threads'."""
    return len(descriptors_of(pid)) + sum(
        len(os.listdir("/proc/%d/task/%s/fd" % (pid, thread)))
        for thread in os.listdir("/proc/%d/task" % pid) if int(thread) != pid)


def test_threads_with_tables_of_their_own():
    with Watched() as watched:
        assert watched.tell("apart", APART) == "ok"
        with Watching("-p", str(watched.pid), "--inherited", "--samples", "0") as watching:
            watching.follows(watched.pid)
            first = watching.ask_for_table()["completeness"]["events"]
            report = watching.report(lambda report: report["completeness"]["events"] > first, "another survey")
            assert report["completeness"]["complete"], report["completeness"]
            process = truth.process_of(report, watched.pid)
            assert process["fds"]["live"] == numbers_of_all_threads(watched.pid)
            assert truth.left_open_ranges(report, watched.pid) == mappings_of(watched.pid)
