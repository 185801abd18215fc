"""Every call that makes a descriptor, and every way to release one, against what the processes read in /proc."""

import pytest

import descriptors_case as case_of
import truth
from descriptors_case import MAKERS

# What each case leaves, so that a workload that lost its way is noticed: numbers begin at 3.
RELEASES = {
    "release_by_close": [],
    "number_used_again": [3],
    "release_by_close_range": [],
    "release_middle_by_close_range": [3, 4, 5, 10, 11, 12],
    "release_by_close_range_to_the_end": [],
    "close_range_cloexec_keeps": [3, 4],
    "close_range_unshare_alone": [5],
    "close_range_unshare_shared": [3, 4],
    "close_range_unshare_child": [3],
    "close_range_refused": [3, 4],
    "release_by_dup2_over_it": [],
    "replaced_by_dup2_and_dup3": [3, 4, 5],
    "calls_that_fail_release_nothing": [3],
    "calls_that_fail_make_nothing": [],
    "release_by_exec": [],
    "failed_exec_releases_nothing": [3],
    "release_by_libc": [],
}


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    return truth.follow("descriptors", tmp_path_factory.mktemp("descriptors"))


@pytest.mark.parametrize("maker", MAKERS)
def test_each_maker_is_there_once(followed, maker):
    _, told, report = followed
    case_of.assert_made_once(told, report, maker)


@pytest.mark.parametrize("maker", MAKERS)
def test_each_maker_is_a_finding_at_its_function(followed, maker):
    _, told, report = followed
    case_of.assert_finding_at_its_function(told, report, maker, "descriptors.c")


def test_every_maker_of_the_table_is_tested():
    cases = case_of.MAKERS + case_of.RARE_MAKERS + case_of.RECEIVED_MAKERS
    calls = case_of.calls_of_the_table()
    assert len(calls) > 40
    assert [call for call in calls if case_of.CASES.get(call, call) not in cases] == []


def test_targets(followed):
    folder, told, report = followed
    targets = {maker: case_of.targets_of(report, maker) for maker in MAKERS}
    for maker in ("open", "openat", "openat2", "creat"):
        assert targets[maker] == [str(folder / maker)]
    for maker in ("dup", "dup2", "dup3", "fcntl_dupfd", "fcntl_dupfd_cloexec", "eventfd", "eventfd2"):
        assert targets[maker] == ["[eventfd]"]
    for maker in ("socketpair", "accept", "accept4"):
        assert set(targets[maker]) == {"unix"}
    assert targets["socket"] == ["udp 0.0.0.0:0"]
    assert targets["pipe"] == targets["pipe2"] == ["pipe", "pipe"]
    assert targets["epoll_create"] == targets["epoll_create1"] == ["[eventpoll]"]
    assert targets["memfd_create"] == ["memfd:kept"]


def test_the_makers_process_holds_what_it_read(followed):
    _, told, report = followed
    truth.assert_descriptors(report, told.line("makers"))
    assert len(told.line("makers")["fds"]) == len(MAKERS) + 3


@pytest.mark.parametrize("case", RELEASES)
def test_each_way_to_release(followed, case):
    _, told, report = followed
    line = told.line(case)
    assert sorted(map(int, line["fds"])) == RELEASES[case]
    truth.assert_descriptors(report, line)
    assert truth.process_of(report, line["pid"])["fds"]["live"] == line["held"]


def test_what_is_left_keeps_its_maker(followed):
    """A call that fails or changes nothing makes nothing either: dup2(n, n) is no maker."""
    _, told, report = followed
    for case in RELEASES:
        origins = {sample["fd"]: group["origin"] for group in truth.groups_of(report, "fd", told.pid(case))
                   for sample in group["samples"]}
        wanted = dict.fromkeys(RELEASES[case], "openat")
        if case == "number_used_again":
            wanted = {3: "memfd_create"}
        elif case == "replaced_by_dup2_and_dup3":
            wanted.update({4: "dup2", 5: "dup3"})
        assert origins == wanted, case


def test_nothing_else_and_nothing_unseen(followed):
    _, told, report = followed
    case_of.assert_nothing_else(told, report, ["makers", *RELEASES])
