"""Threads of one process that have different descriptor tables, and tables that processes share and leave: exact
against /proc/PID/task/TID/fd of every thread.
"""

import pytest

import truth

# What each process leaves open in any of its tables, how many numbers these have together, the standard streams of each
# included, and how it ends: the mark, the exit status, the signal.
LEAVES = {
    "thread_apart": ({"of_leader", "of_leader_later", "of_thread"}, 9, "exit", 0, 0),
    "copy_is_left": ({"of_leader"}, 7, "exit", 0, 0),
    "thread_apart_ends": ({"of_leader"}, 4, "exit", 0, 0),
    "leader_apart": ({"of_leader", "made_by_the_leader_left_to_the_thread"}, 8, "exit", 0, 0),
    "leader_apart_and_the_rest_ends": ({"of_leader", "in_both"}, 5, "exit", 0, 0),
    "thread_apart_by_close_range": ({"of_leader", "of_thread"}, 8, "exit", 0, 0),
    "table_lives_on": ({"of_leader", "of_first_thread", "of_first_thread_later"}, 10, "exit", 0, 0),
    "thread_born_apart": ({"of_leader", "of_leader_later", "of_thread"}, 10, "exit", 0, 0),
    "exec_by_a_thread_apart": ({"of_thread", "in_both"}, 5, "exit", 0, 0),
    "exec_by_the_leader_with_a_thread_apart": ({"of_leader"}, 4, "exit", 0, 0),
    "be_killed": ({"of_leader", "of_thread"}, 8, "last_thread", None, 9),
    "leader_ends_first": ({"of_thread", "of_thread_later"}, 5, "exit_group", 0, 0),
    "child_unshares": ({"of_parent", "of_parent_later"}, 5, "exit", 0, 0),
    "child_unshares_child": ({"of_child"}, 4, "last_thread", 0, 0),
    "parent_unshares": ({"of_parent"}, 5, "exit", 0, 0),
    "parent_unshares_child": ({"left_to_the_child", "of_child"}, 5, "last_thread", 0, 0),
    "thread_apart_forks": ({"of_leader", "of_thread"}, 9, "exit", 0, 0),
    "thread_apart_forks_child": ({"of_forked_child"}, 6, "exit", 0, 0),
    "storm_of_tables": ({"of_leader"}, 4, "exit", 0, 0),
    "dumps_core": ({"of_leader", "of_thread"}, 5, "last_thread", None, 6),
}
# These end with two tables.
APART = {"thread_apart", "copy_is_left", "leader_apart", "thread_apart_by_close_range", "table_lives_on",
         "thread_born_apart", "be_killed", "thread_apart_forks"}
# What a process holds and another made: it is in that one's set, or was there before.
OTHERS = {
    "parent_unshares": {"left_to_the_child"},
    "thread_apart_forks_child": {"of_leader", "of_thread"},
}


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    return truth.follow("tables", tmp_path_factory.mktemp("tables"))[1:]


def told_by_tables(line):
    """Return {target: numbers} of what the process read of all its threads."""
    told = {}
    for numbers in line["tables"].values():
        for number, link in numbers.items():
            told.setdefault(truth.target_of_link(link), set()).add(int(number))
    return told


@pytest.mark.parametrize("label", LEAVES)
def test_each_process_leaves_what_its_threads_told(followed, label):
    told, report = followed
    names, live, *ending = LEAVES[label]
    line = told.line("tables_of_" + label)
    held = told_by_tables(line)
    assert set(held) == {"memfd:" + name for name in names | OTHERS.get(label, set())}
    left = {}
    for group in truth.groups_of(report, "fd", line["pid"]):
        assert (group["origin"], group["type"]) == ("memfd_create", "memfd")
        assert group["released"]["at_shutdown"] == 0
        for sample in group["samples"]:
            assert sample["target"] not in left, "%s twice" % sample["target"]
            left[sample["target"]] = sample["fd"]
    assert set(left) == {"memfd:" + name for name in names}
    assert all(number in held[target] for target, number in left.items())
    process = truth.process_of(report, line["pid"])
    assert process["fds"]["live"] == live
    truth.assert_ended(process, *ending)


@pytest.mark.parametrize("label", sorted(set(LEAVES) - set(OTHERS)))
def test_what_is_open_is_what_was_opened_and_not_closed(followed, label):
    """Numbers that a table began with as a copy are opened with it and closed with its last thread."""
    told, report = followed
    fds = truth.process_of(report, told.line("tables_of_" + label)["pid"])["fds"]
    standard_streams = 3 * (2 if label in APART else 1)
    assert fds["opened"] - fds["closed"] == fds["live"] - standard_streams
    assert fds["peak"] >= fds["live"]


def test_threads_are_named_by_their_samples(followed):
    told, report = followed
    line = told.line("tables_of_thread_apart")
    makers = {sample["target"]: sample["tid"] for group in truth.groups_of(report, "fd", line["pid"])
              for sample in group["samples"]}
    threads = {int(thread) for thread in line["tables"]}
    assert makers["memfd:of_leader"] == makers["memfd:of_leader_later"] == line["pid"]
    assert {makers["memfd:of_thread"]} == threads - {line["pid"]}


def test_nothing_else_and_nothing_unseen(followed):
    told, report = followed
    assert sorted(line["label"] for line in told.lines) == sorted("tables_of_" + label for label in LEAVES)
    assert len(report["processes"]) == len(LEAVES) + 1
    assert sum(group["count"] for group in truth.groups_of(report, "fd")) == sum(
        len(names) for names, *_ in LEAVES.values())
    assert report["completeness"]["reconciled"] == 0
    assert report["completeness"]["drift"] == 0
