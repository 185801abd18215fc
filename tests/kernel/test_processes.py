"""Forks, execs, threads, shared tables and every way to end: exact counts for each process."""

import os
import signal
import time

import pytest

import leftopen
import truth

SHORT_LIVED = 300
STORM_FORKS = 200
STORM_THREADS = 8
STORM_HELD = 4

# What each process leaves open, so that a workload that lost its way is noticed, and how it ends: the mark, the exit
# status, the signal.
LEAVES = {
    "main": (0, "exit", 0, 0),
    "children_leak_one_to_n": (5, "exit", 0, 0),
    **{"child_%d" % count: (count, "exit", 0, 0) for count in range(1, 9)},
    "short_lived_children": (0, "exit", 0, 0),
    "threads_at_once": (24, "exit", 0, 0),
    "thread_that_exits": (3, "exit", 0, 0),
    # The last thread's pthread_exit calls exit (nptl/pthread_create.c, start_thread).
    "leader_exits_first": (3, "exit", 0, 0),
    "threads_end_bare": (3, "last_thread", 6, 0),
    "exec_keeps_and_closes": (3, "exit", 0, 0),
    "exec_by_a_thread": (2, "exit", 0, 0),
    "vforked_child": (2, "exit_group", 0, 0),
    "vforked_child_leaks": (2, "exit", 0, 0),
    "spawned_child_leaks": (1, "exit", 0, 0),
    # clone's function returns to nothing but the system's exit (sysdeps/unix/sysv/linux/x86_64/clone.S).
    "shares_its_parents_table": (0, "last_thread", 0, 0),
    "shared_table_parent_last": (3, "exit", 0, 0),
    "gave_its_table_away": (0, "exit_group", 0, 0),
    "shared_table_child_last": (3, "last_thread", 0, 0),
    "shared_table_and_exec": (1, "exit", 0, 0),
    "double_fork": (1, "exit", 0, 0),
    "daemon": (4, "exit", 0, 0),
    "fork_in_a_storm": (5, "exit", 0, 0),
    "killed": (2, "last_thread", None, signal.SIGKILL),
    "killed_with_threads": (2, "last_thread", None, signal.SIGKILL),
    "ends_by_exit": (1, "exit", 7, 0),
    "ends_by__exit": (1, "exit_group", 8, 0),
    "ends_by_return_from_main": (1, "exit", 0, 0),
    "ends_by_a_threads_exit": (1, "exit", 9, 0),
    "released_at_exit": (1, "exit", 0, 0),
    "handed_over": (1, "exit_group", 0, 0),
    "holds_what_was_handed_over": (0, "exit", 0, 0),
    "not_handed_over": (3, "exit_group", 0, 0),
    "lets_go_of_it": (0, "exit", 0, 0),
    "standard_streams_put_back": (0, "exit", 0, 0),
}
# Those that end in the middle of a storm of eight threads, whose last numbers nobody can tell.
STORMS = {"killed_in_a_storm": ("last_thread", None, signal.SIGKILL), "exits_in_a_storm": ("exit", 3, 0)}
MANY = {"short_lived": SHORT_LIVED, "storm_child": STORM_FORKS, "leaves_two": 2}


@pytest.fixture(scope="module")
def followed():
    result = leftopen.run(leftopen.workload("processes"), options=["--samples", "0"])
    assert result.status == 0, result.stderr
    return truth.Truth(result.stdout), result.report


def assert_ended(process, mark, exit_code, by_signal):
    assert process["exited"]
    assert (process["left_open_at"], process["exit_code"], process["signal"]) == (mark, exit_code, by_signal)


@pytest.mark.parametrize("label", LEAVES)
def test_each_process_leaves_what_it_told(followed, label):
    told, report = followed
    line = told.line(label)
    count, *ending = LEAVES[label]
    assert len(line["fds"]) == count
    truth.assert_descriptors(report, line)
    assert_ended(truth.process_of(report, line["pid"]), *ending)


def test_every_process_is_there_once_under_its_parent(followed):
    told, report = followed
    # A daemon's middle process tells nothing.
    assert len(report["processes"]) == len({line["pid"] for line in told.tellers}) + 1
    parents = {process["pid"]: process["ppid"] for process in report["processes"]}
    assert len(parents) == len(report["processes"])
    for line in told.tellers:
        if line["label"] not in ("daemon", "shared_table_child_last", "holds_what_was_handed_over", "lets_go_of_it"):
            assert parents[line["pid"]] == line["ppid"], line["label"]
    # These told it when they had another parent already.
    assert parents[told.pid("shared_table_child_last")] == told.pid("gave_its_table_away")
    assert parents[told.pid("holds_what_was_handed_over")] == told.pid("handed_over")
    middle = parents[told.pid("daemon")]
    assert parents[middle] == told.pid("double_fork")
    assert truth.left_open_descriptors(report, middle) == {}


def test_all_of_three_hundred_short_lived_children(followed):
    told, report = followed
    children = [line for line in told.tellers if line["label"] == "short_lived"]
    assert len(children) == SHORT_LIVED
    for line in children:
        assert list(line["fds"]) == ["3"]
        truth.assert_descriptors(report, line)


def test_children_of_one_program_are_one_finding(followed):
    told, report = followed
    children = {line["pid"] for line in told.tellers if line["label"] == "short_lived"}
    findings = [site for site in report["sites"]
                if children & {report["processes"][of["process"]]["pid"] for of in site["processes"]}]
    assert len(findings) == 1
    counts = {report["processes"][of["process"]]["pid"]: of["count"] for of in findings[0]["processes"]}
    assert {pid: counts[pid] for pid in children} == dict.fromkeys(children, 1)


def test_each_child_of_a_storm_has_the_table_that_it_read(followed):
    """Numbers that no event tells of are found by the table's own numbers, at fork: none is left to be found later.

    The report's live count is of the model's table, which the kernel's own numbers were held against at exit: with
    nothing missing (reconciled), nothing phantom (drift) and as many as the child read, both are the same set.
    """
    told, report = followed
    children = [line for line in told.tellers if line["label"] == "storm_child"]
    assert len(children) == STORM_FORKS
    exact = 0
    for line in children:
        truth.assert_descriptors(report, line)
        process = truth.process_of(report, line["pid"])
        exact += process["fds"]["live"] == line["held"] and len(line["fds"]) == 1
    assert exact == STORM_FORKS
    # The storm was one: forks caught its threads with different numbers open.
    assert len({line["held"] for line in children}) > 1


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
    assert_ended(truth.process_of(report, line["pid"]), *STORMS[label])


def test_the_descriptors_that_are_live_are_those_that_the_process_read(followed):
    told, report = followed
    for label in set(LEAVES) - {"main"}:
        line = told.line(label)
        if "held" in line and label != "released_at_exit":
            assert truth.process_of(report, line["pid"])["fds"]["live"] == line["held"], label


def test_threads_are_named_by_their_samples(followed):
    told, report = followed
    pid = told.pid("threads_at_once")
    threads = [sample["tid"] for group in truth.groups_of(report, "fd", pid) for sample in group["samples"]]
    assert len(set(threads)) == STORM_THREADS and pid not in threads
    assert all(threads.count(thread) == 3 for thread in threads)


def test_what_survives_exec_keeps_its_maker(followed):
    told, report = followed
    groups = truth.groups_of(report, "fd", told.pid("exec_keeps_and_closes"))
    assert sorted((group["origin"], group["count"]) for group in groups) == [("openat", 1), ("pipe2", 2)]
    # The image that made them is gone.
    for group in groups:
        assert "exec_keeps_and_closes" in [
            frame["function"] for frame in report["stacks"][group["stack"]]["frames"]]


def test_what_shutdown_releases_was_left_open(followed):
    told, report = followed
    released, = truth.groups_of(report, "fd", told.pid("released_at_exit"))
    assert released["released"] == {"never": 0, "at_shutdown": 1}


def test_what_is_made_after_the_mark_counts(followed):
    """Targets are read at the mark, so this one's is not known."""
    told, report = followed
    made, = truth.groups_of(report, "fd", told.pid("made_at_exit"))
    assert made["released"] == {"never": 1, "at_shutdown": 0}
    assert [(sample["fd"], sample["target"]) for sample in made["samples"]] == [(3, "")]
    assert_ended(truth.process_of(report, told.pid("made_at_exit")), "exit", 0, 0)


def test_spawned_children(followed):
    told, report = followed
    lines = [line for line in told.tellers if line["label"] == "leaves_two"]
    assert len(lines) == 2
    for line in lines:
        assert len(line["fds"]) == 2
        truth.assert_descriptors(report, line)
        assert_ended(truth.process_of(report, line["pid"]), "exit", 0, 0)


def test_nothing_else(followed):
    told, report = followed
    labels = [line["label"] for line in told.tellers]
    assert {label: labels.count(label) for label in labels} == {
        **{label: 1 for label in LEAVES}, **{label: 1 for label in STORMS}, "made_at_exit": 1, **MANY}
    storms = {told.pid(label) for label in STORMS}
    assert sum(group["count"] for group in truth.groups_of(report, "fd") if group["pid"] not in storms) == sum(
        len(line["fds"]) for line in told.tellers if line["pid"] not in storms)
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
    result = leftopen.run(leftopen.workload("processes"), "--survivor", options=["--samples", "0"])
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
    assert_ended(truth.process_of(result.report, told.pid("survived")), "exit", 0, 0)
    assert str(survivor) in result.stderr
    # The survivor has a minute to live: nobody waited for it.
    assert took_s < 30
