"""Descriptors made and released by requests to io_uring, against what the processes read in /proc."""

import pytest

import descriptors_case as case_of
import truth

# How many each maker leaves, so that a workload that lost its way is noticed.
MAKERS = {"openat": 1, "openat2": 1, "several": 3, "by_worker": 1, "linked": 2, "socket": 1, "accept": 1,
          "accept_multishot": 3, "recvmsg": 2, "fixed_fd_install": 1, "pipe": 2}
# Several requests are several instances.
REQUESTS = {"several": 3, "linked": 2, "accept_multishot": 3}
THREADS = ["leave_by_one_thread", "leave_by_another_thread"]

# What each case leaves besides its ring, 3: {number: origin}.
NONE = {
    "release_by_close_request": {},
    "release_in_silence": {},
    "release_in_silence_fails": {4: "io_uring"},
    "close_and_open_at_once": {4: "io_uring"},
    "released_by_system_calls": {6: "dup2"},
    "requests_that_fail": {},
    "direct_descriptors": {},
    "leave_by_kernel_thread": {4: "io_uring"},
    "completions_on_demand": {4: "io_uring"},
    "completions_overflow": dict.fromkeys(range(4, 10), "io_uring"),
    "closed_before_it_is_told": {},
    "shared_with_a_child": {4: "io_uring"},
}


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    return truth.follow("uring", tmp_path_factory.mktemp("uring"))


@pytest.fixture(scope="module")
def none(tmp_path_factory):
    return truth.follow("uring_none", tmp_path_factory.mktemp("none"))[1:]


def kernel_has(function):
    with open("/proc/kallsyms", encoding="utf-8") as file:
        return any(line.split()[2] == function for line in file)


@pytest.mark.parametrize("maker", MAKERS)
def test_each_maker_is_there_once(followed, maker):
    _, told, report = followed
    line = told.line("leave_" + maker)
    if "lacks" in line:
        assert not kernel_has({"pipe": "io_pipe", "fixed_fd_install": "io_install_fixed_fd"}[maker])
        pytest.skip("this kernel has no such request")
    assert len(line["numbers"]) == MAKERS[maker]
    case_of.assert_finding_at_its_function(told, report, maker, "uring.c")
    group = case_of.group_of_maker(report, maker)
    assert (group["type"], group["origin"]) == (line["type"], "io_uring")
    assert [sample["fd"] for sample in group["samples"]] == line["numbers"]
    assert group["instances"] == REQUESTS.get(maker, 1)
    assert group["released"] == {"never": MAKERS[maker], "at_shutdown": 0}
    assert {sample["tid"] for sample in group["samples"]} == {line["pid"]}


def test_targets(followed):
    folder, told, report = followed
    for maker in ("openat", "openat2", "by_worker"):
        assert case_of.targets_of(report, maker) == [str(folder / maker)]
    assert case_of.targets_of(report, "recvmsg") == [str(folder / "sent")] * 2
    assert case_of.targets_of(report, "socket") == ["udp 0.0.0.0:0"]
    if "lacks" not in told.line("leave_pipe"):
        assert case_of.targets_of(report, "pipe") == ["pipe", "pipe"]


@pytest.mark.parametrize("thread", THREADS)
def test_threads_that_share_a_ring(followed, thread):
    """Each one's requests are its own, whoever of them took them from the ring."""
    _, told, report = followed
    line = told.line(thread)
    samples = [(sample["fd"], sample["tid"], group["origin"]) for group in truth.groups_of(report, "fd")
               if group["stack"] in report["stacks"] for sample in group["samples"]
               if report["stacks"][group["stack"]]["frames"][0]["function"] == thread]
    assert sorted(samples) == [(fd, line["tid"], "io_uring") for fd in sorted(line["shared"])]
    assert len(samples) == 8


def test_the_makers_process_holds_what_it_read(followed):
    _, told, report = followed
    truth.assert_descriptors(report, told.line("makers"))
    case_of.assert_nothing_else(told, report, ["makers"])


@pytest.mark.parametrize("case", NONE)
def test_what_releases_and_what_makes_none(none, case):
    told, report = none
    line = told.line(case)
    assert sorted(map(int, line["fds"])) == sorted([3, *NONE[case]])
    truth.assert_descriptors(report, line)
    assert truth.process_of(report, line["pid"])["fds"]["live"] == line["held"]
    origins = {sample["fd"]: group["origin"] for group in truth.groups_of(report, "fd", line["pid"])
               for sample in group["samples"]}
    assert origins == {3: "io_uring_setup", **NONE[case]}


def test_who_submits_and_ends(none):
    """Some requests are done and some cancelled, as the kernel had time for: what is there is told of."""
    told, report = none
    line = told.line("submitter_ends")
    truth.assert_descriptors(report, line)
    for group in truth.groups_of(report, "fd", line["pid"]):
        if group["samples"][0]["fd"] == 3:
            continue
        assert group["origin"] == "io_uring"
        assert report["stacks"][group["stack"]]["frames"][0]["function"] == "submit_and_end"
        assert {sample["tid"] for sample in group["samples"]} != {line["pid"]}


def test_a_ring_that_a_child_has_too(none):
    told, report = none
    line = told.line("ring_of_the_parent")
    assert len(line["fds"]) == 1
    truth.assert_descriptors(report, line)


def test_the_kernels_own_thread_has_no_stack_and_says_so(none):
    told, report = none
    groups = [group for group in truth.groups_of(report, "fd", told.pid("leave_by_kernel_thread"))
              if group["origin"] == "io_uring"]
    assert len(groups) == 1
    stack = report["stacks"][groups[0]["stack"]]
    assert stack["frames"] == [] and not stack["complete"]
    assert "SQPOLL" in stack["why"]


def test_nothing_else_and_nothing_unseen(none):
    told, report = none
    case_of.assert_nothing_else(told, report, [*NONE, "submitter_ends", "ring_of_the_parent"], silent=1)
