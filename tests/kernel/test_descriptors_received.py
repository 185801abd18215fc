"""Descriptors that arrive in messages, against what the processes read in /proc."""

import errno
import socket

import pytest

import descriptors_case as case_of
import truth
from descriptors_case import RECEIVED_MAKERS as MAKERS

# How many each maker leaves, so that a workload that lost its way is noticed.
COUNTS = {"recvmsg_several": 3, "recvmsg_full": 253, "recvmsg_truncated": 2, "recvmsg_with_credentials": 2,
          "recvmmsg_several": 5, "recvmmsg_truncated": 2}

CASES = {
    "release_by_close": [],
    "release_by_exec": [],
    "no_room_for_any": [],
    "stale_control": [],
    "calls_that_fail": [],
    "credentials_alone": [],
    "receiver_answers": [],
    "receiver": [5, 6],
}

SO_PASSPIDFD = 76  # include/uapi/asm-generic/socket.h


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    return truth.follow("received", tmp_path_factory.mktemp("received"))


def kernel_has_pidfds_in_messages():
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, 1)
        except OSError as error:
            assert error.errno == errno.ENOPROTOOPT
            return False
    return True


@pytest.mark.parametrize("maker", MAKERS)
def test_each_maker_is_there_once(followed, maker):
    _, told, report = followed
    line = told.line("leave_" + maker)
    if "lacks" in line:
        assert maker == "recvmsg_pidfd" and not kernel_has_pidfds_in_messages()
        pytest.skip("this kernel has no SO_PASSPIDFD")
    assert len(line["numbers"]) == COUNTS.get(maker, 1)
    case_of.assert_made_once(told, report, maker)
    case_of.assert_finding_at_its_function(told, report, maker, "received.c")


def test_targets(followed):
    folder, told, report = followed
    own = "pidfd of %d" % told.pid("makers")
    for maker, target in {"file": str(folder / "sent"), "memfd": "memfd:sent", "socket": "udp 0.0.0.0:0",
                          "pipe": "pipe", "pidfd": own, "queue": "/leftopen-sent", "epoll": "[eventpoll]"}.items():
        assert case_of.targets_of(report, "received_" + maker) == [target]
    if "lacks" not in told.line("leave_recvmsg_pidfd"):
        assert case_of.targets_of(report, "recvmsg_pidfd") == [own]


def test_the_makers_process_holds_what_it_read(followed):
    _, told, report = followed
    truth.assert_descriptors(report, told.line("makers"))
    assert len(told.line("makers")["fds"]) == sum(
        len(line["numbers"]) for line in told.lines if "numbers" in line)


@pytest.mark.parametrize("case", CASES)
def test_what_brings_none_and_what_releases(followed, case):
    _, told, report = followed
    line = told.line(case)
    assert sorted(map(int, line["fds"])) == CASES[case]
    truth.assert_descriptors(report, line)
    assert truth.process_of(report, line["pid"])["fds"]["live"] == line["held"]


def test_who_receives_answers(followed):
    _, told, report = followed
    groups = truth.groups_of(report, "fd", told.pid("receiver"))
    assert [(group["origin"], group["type"], group["count"]) for group in groups] == [("recvmsg", "eventfd", 2)]


def test_nothing_else_and_nothing_unseen(followed):
    _, told, report = followed
    case_of.assert_nothing_else(told, report, ["makers", *CASES])
