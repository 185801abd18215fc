"""Descriptors of calls that are not followed: seen as the kernel puts them into the table, or else found in it.

Whether programs may be attached to the kernel's functions is what `leftopen doctor` says.
"""

import re
import subprocess

import pytest

import descriptors_case as case_of
import leftopen
import truth
from descriptors_case import INSTALLED_MAKERS as MAKERS

# Those that the makers open by calls that are followed, and do not close: a terminal's master.
OPENED_BESIDES = 1
# In the process that leaves none: files of namespaces, and what it asked these for.
OPENED, ASKED_FOR = 3, 3


@pytest.fixture(scope="module")
def sees_installs():
    said = subprocess.run([leftopen.LEFTOPEN, "doctor"], stdout=subprocess.PIPE, check=False).stdout.decode()
    return re.search(r"^  (ok|without) +fentry\b", said, re.M).group(1) == "ok"


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    return truth.follow("installed", tmp_path_factory.mktemp("installed"))[1:]


def made(told):
    """Return the makers that this kernel has."""
    return [maker for maker in MAKERS if "lacks" not in told.line("leave_" + maker)]


def test_which_calls_the_kernel_lacks(followed):
    told, _ = followed
    assert set(MAKERS) - set(made(told)) <= {"namespace_of_a_pidfd"}


@pytest.mark.parametrize("maker", MAKERS)
def test_each_maker_is_there_once(followed, sees_installs, maker):
    told, report = followed
    if maker not in made(told):
        pytest.skip("this kernel has no " + maker)
    line = told.line("leave_" + maker)
    if sees_installs:
        case_of.assert_made_once(told, report, maker)
        case_of.assert_finding_at_its_function(told, report, maker, "installed.c")
        return
    groups = [group for group in truth.groups_of(report, "fd", line["pid"])
              if line["numbers"][0] in [sample["fd"] for sample in group["samples"]]]
    assert [(group["origin"], group["type"]) for group in groups] == [("unseen", line["type"])]
    assert groups[0]["stack"] not in report["stacks"]


def test_the_makers_process_holds_what_it_read(followed, sees_installs):
    told, report = followed
    line = told.line("makers")
    assert len(line["fds"]) == len(made(told)) + OPENED_BESIDES
    assert truth.left_open_descriptors(report, line["pid"]) == {
        int(fd): truth.target_of_link(link) for fd, link in line["fds"].items()}
    assert report["completeness"]["reconciled"] == (0 if sees_installs else len(made(told)))
    assert report["completeness"]["drift"] == 0


def test_what_is_closed_is_not_there(followed, sees_installs):
    """Besides, the process reads its own table at its end."""
    told, report = followed
    fds = truth.process_of(report, told.pid("none"))["fds"]
    assert fds["live"] == told.line("none")["held"] == 3
    assert fds["opened"] == fds["closed"] == OPENED + (ASKED_FOR if sees_installs else 0) + 1
