"""Every way in which a process ends, and who then holds what it had: exact counts for each process."""

import os
import signal
import time

import pytest

import leftopen
import truth

STORM_THREADS = 8
STORM_HELD = 4

# What each process leaves open, so that a workload that lost its way is noticed, and how it ends: the mark, the exit
# status, the signal.
LEAVES = {
    "main": (0, "exit", 0, 0),
    # The last thread's pthread_exit calls exit (nptl/pthread_create.c, start_thread).
    "leader_exits_first": (3, "exit", 0, 0),
    "threads_end_bare": (3, "last_thread", 6, 0),
    "killed": (2, "last_thread", None, signal.SIGKILL),
    "killed_with_threads": (2, "last_thread", None, signal.SIGKILL),
    "ends_by_exit": (1, "exit", 7, 0),
    "ends_by__exit": (1, "exit_group", 8, 0),
    "ends_by_return_from_main": (1, "exit", 0, 0),
    "ends_by_a_threads_exit": (1, "exit", 9, 0),
    "released_at_exit": (1, "exit", 0, 0),
    "made_at_exit": (1, "exit", 0, 0),
    "handed_over": (1, "exit_group", 0, 0),
    "holds_what_was_handed_over": (0, "exit", 0, 0),
    "not_handed_over": (3, "exit_group", 0, 0),
    "lets_go_of_it": (0, "exit", 0, 0),
}
# Those that end in the middle of a storm of eight threads, whose last numbers nobody can tell.
STORMS = {"killed_in_a_storm": ("last_thread", None, signal.SIGKILL), "exits_in_a_storm": ("exit", 3, 0)}


@pytest.fixture(scope="module")
def followed():
    result = leftopen.run(leftopen.workload("endings"), options=["--samples", "0"])
    assert result.status == 0, result.stderr
    return truth.Truth(result.stdout), result.report


@pytest.mark.parametrize("label", LEAVES)
def test_each_process_leaves_what_it_told(followed, label):
    told, report = followed
    line = told.line(label)
    count, *ending = LEAVES[label]
    assert len(line["fds"]) == count
    truth.assert_descriptors(report, line)
    truth.assert_ended(truth.process_of(report, line["pid"]), *ending)


@pytest.mark.parametrize("label", STORMS)
def test_the_end_in_a_storm(followed, label):
    told, report = followed
    line = told.line(label)
    groups = truth.groups_of(report, "fd", line["pid"])
    assert all(group["origin"] == "openat" for group in groups)
    assert {int(fd) for fd in line["fds"]} <= {sample["fd"] for group in groups for sample in group["samples"]}
    # What is open at the mark, released and made again before the end is two handles of one number.
    in_storm = {key: sum(group["released"][key] for group in groups) for key in ("never", "at_shutdown")}
    assert 0 <= in_storm["never"] - len(line["fds"]) <= STORM_THREADS * STORM_HELD
    assert in_storm["at_shutdown"] <= STORM_THREADS * STORM_HELD
    truth.assert_ended(truth.process_of(report, line["pid"]), *STORMS[label])


def test_what_shutdown_releases_was_left_open(followed):
    told, report = followed
    released, = truth.groups_of(report, "fd", told.pid("released_at_exit"))
    assert released["released"] == {"never": 0, "at_shutdown": 1}


def test_what_is_made_after_the_mark_counts(followed):
    told, report = followed
    made, = truth.groups_of(report, "fd", told.pid("made_at_exit"))
    assert made["released"] == {"never": 1, "at_shutdown": 0}


def test_who_took_over(followed):
    """Its own maker's process is the parent, also when another was by the time that it told."""
    told, report = followed
    for child, parent in (("holds_what_was_handed_over", "handed_over"), ("lets_go_of_it", "not_handed_over")):
        assert truth.process_of(report, told.pid(child))["ppid"] == told.pid(parent)


def test_nothing_else(followed):
    told, report = followed
    assert sorted(line["label"] for line in told.tellers) == sorted([*LEAVES, *STORMS])
    assert len(report["processes"]) == len({line["pid"] for line in told.tellers})
    assert report["completeness"]["reconciled"] == 0
    assert report["completeness"]["drift"] == 0


def wait_for_end(pid):
    """Wait until the process is gone, or a zombie that its new parent has not noticed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open("/proc/%d/stat" % pid, encoding="utf-8") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    raise AssertionError("%d does not end" % pid)


def test_a_survivor_is_listed_with_what_it_holds():
    began = time.monotonic()
    result = leftopen.run(leftopen.workload("endings"), "--survivor", options=["--samples", "0"])
    took_s = time.monotonic() - began
    told = truth.Truth(result.stdout)
    survivor = told.pid("survivor")
    try:
        os.kill(survivor, 0)
    finally:
        os.kill(survivor, signal.SIGKILL)
    wait_for_end(survivor)
    process = truth.process_of(result.report, survivor)
    assert not process["exited"]
    assert (process["left_open_at"], process["exit_code"], process["signal"]) == ("live", None, 0)
    truth.assert_descriptors(result.report, told.line("survivor"))
    assert len(told.line("survivor")["fds"]) == 3
    truth.assert_descriptors(result.report, told.line("survived"))
    truth.assert_ended(truth.process_of(result.report, told.pid("survived")), "exit", 0, 0)
    assert str(survivor) in result.stderr
    # The survivor has a minute to live: nobody waited for it.
    assert took_s < 30


def test_a_process_that_renamed_itself_has_its_last_name():
    rename = "import ctypes; ctypes.CDLL(None).prctl(15, b'worker 7', 0, 0, 0)"
    report = leftopen.run(leftopen.PYTHON, "-c", rename).report
    assert [process["comm"] for process in report["processes"]] == ["worker 7"]


def test_perl_is_asked_before_it_closes_everything():
    keep = 'for (1..4) { open(my $file, "<", "/etc/hosts") or die; push @main::kept, $file; }'
    report = leftopen.run("perl", "-e", keep).report
    assert [process["left_open_at"] for process in report["processes"]] == ["exit"]
    files = [group for group in report["groups"] if group["kind"] == "fd"]
    assert [(group["count"], group["released"]) for group in files] == [(4, {"never": 0, "at_shutdown": 4})]


def test_without_stacks_the_loaders_mappings_are_still_its_own():
    report = leftopen.run("/bin/true", options=["--stacks=none"]).report
    libraries = [group for group in report["groups"] if group["kind"] == "map" and group["samples"][0]["target"]]
    assert libraries and {group["category"] for group in libraries} == {"loader"}
    assert not report["sites"]
