"""Forks, execs, threads and shared tables: exact counts for each process."""

import pytest

import leftopen
import truth

SHORT_LIVED = 300
STORM_FORKS = 200
THREADS = 8

# What each process leaves open, so that a workload that lost its way is noticed, and how it ends: the mark, the exit
# status, the signal.
LEAVES = {
    "main": (0, "exit", 0, 0),
    "children_leak_one_to_n": (5, "exit", 0, 0),
    **{"child_%d" % count: (count, "exit", 0, 0) for count in range(1, 9)},
    "short_lived_children": (0, "exit", 0, 0),
    "threads_at_once": (24, "exit", 0, 0),
    "thread_that_exits": (3, "exit", 0, 0),
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
    "shared_table_in_a_storm": (2, "exit", 0, 0),
    "double_fork": (1, "exit", 0, 0),
    "daemon": (4, "exit", 0, 0),
    "fork_in_a_storm": (5, "exit", 0, 0),
    "standard_streams_put_back": (0, "exit", 0, 0),
}
MANY = {"short_lived": SHORT_LIVED, "storm_child": STORM_FORKS, "leaves_two": 2}
# What tells nothing: a daemon's middle process, and those that share a table in a storm.
SILENT = 1 + 300


@pytest.fixture(scope="module")
def followed():
    result = leftopen.run(leftopen.workload("processes"), options=["--samples", "0"])
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


def test_every_process_is_there_once_under_its_parent(followed):
    told, report = followed
    assert len(report["processes"]) == len({line["pid"] for line in told.tellers}) + SILENT
    parents = {process["pid"]: process["ppid"] for process in report["processes"]}
    assert len(parents) == len(report["processes"])
    for line in told.tellers:
        if line["label"] not in ("daemon", "shared_table_child_last"):
            assert parents[line["pid"]] == line["ppid"], line["label"]
    # These told it when they had another parent already.
    assert parents[told.pid("shared_table_child_last")] == told.pid("gave_its_table_away")
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


def test_the_descriptors_that_are_live_are_those_that_the_process_read(followed):
    told, report = followed
    for label in set(LEAVES) - {"main"}:
        line = told.line(label)
        if "held" in line:
            assert truth.process_of(report, line["pid"])["fds"]["live"] == line["held"], label


def test_threads_are_named_by_their_samples(followed):
    told, report = followed
    pid = told.pid("threads_at_once")
    threads = [sample["tid"] for group in truth.groups_of(report, "fd", pid) for sample in group["samples"]]
    assert len(set(threads)) == THREADS and pid not in threads
    assert all(threads.count(thread) == 3 for thread in threads)


def test_what_survives_exec_keeps_its_maker(followed):
    told, report = followed
    groups = truth.groups_of(report, "fd", told.pid("exec_keeps_and_closes"))
    assert sorted((group["origin"], group["count"]) for group in groups) == [("openat", 1), ("pipe2", 2)]
    # The image that made them is gone.
    for group in groups:
        assert "exec_keeps_and_closes" in [
            frame["function"] for frame in report["stacks"][group["stack"]]["frames"]]


def test_spawned_children(followed):
    told, report = followed
    lines = [line for line in told.tellers if line["label"] == "leaves_two"]
    assert len(lines) == 2
    for line in lines:
        assert len(line["fds"]) == 2
        truth.assert_descriptors(report, line)
        truth.assert_ended(truth.process_of(report, line["pid"]), "exit", 0, 0)


def test_nothing_else(followed):
    told, report = followed
    labels = [line["label"] for line in told.tellers]
    assert {label: labels.count(label) for label in labels} == {
        **{label: 1 for label in LEAVES}, **MANY}
    assert sum(group["count"] for group in truth.groups_of(report, "fd")) == sum(
        len(line["fds"]) for line in told.tellers)
    assert report["completeness"]["reconciled"] == 0
    assert report["completeness"]["drift"] == 0
