"""What a CPython process holds as it begins to shut down, for each way to end, on every installed version."""

import os

import pytest

import leftopen
from test_python_frames import HERE, INTERPRETERS, version_of

CASE = os.path.join(HERE, "python_marks_case.py")

# Finalization closes what Python's objects hold, after the set was taken; atexit's hooks ran before.
FINALIZED = {"held": "at_shutdown", "never": "never"}
# The kernel ends these at once.
ENDED = {"held": "never", "never": "never", "atexit": "never"}

# Name: where the set is taken, exit code, signal, and what is in it.
SCENARIOS = {
    "normal_end": ("finalize", 0, 0, FINALIZED),
    "sys_exit": ("finalize", 3, 0, FINALIZED),
    "sys_exit_with_text": ("finalize", 1, 0, FINALIZED),
    "unhandled_exception": ("finalize", 1, 0, FINALIZED),
    "keyboard_interrupt": ("finalize", None, 2, FINALIZED),
    "os_exit": ("exit_group", 4, 0, ENDED),
    "sigkill": ("last_thread", None, 9, ENDED),
    "sigterm": ("last_thread", None, 15, ENDED),
    "abort": ("last_thread", None, 6, ENDED),
    "thread_joined": ("finalize", 0, 0, FINALIZED),
    "daemon_thread": ("finalize", 0, 0, {"held": "never", "never": "never", "daemon": "never"}),
    "opened_by_atexit": ("finalize", 0, 0, {**FINALIZED, "hook": "never"}),
    "forked_child": ("finalize", 0, 0, FINALIZED),
}


@pytest.fixture(scope="module", params=INTERPRETERS, ids=version_of)
def followed(request, tmp_path_factory):
    """Return the version, the folder, the report, and of each scenario its pid and its status."""
    folder = tmp_path_factory.mktemp("marks")
    result = leftopen.run(request.param, CASE, str(folder), options=["--samples", "0", "--as-root"])
    assert result.status == 0, result.stderr
    lines = [line.split() for line in result.stdout.decode().splitlines()]
    statuses = {name: (int(pid), int(status)) for name, pid, status in lines}
    assert sorted(statuses) == sorted(SCENARIOS)
    version = result.report["command"][0].split("/")[-3]
    return version, str(folder), result.report, statuses


def left_open(report, pid, folder):
    """Return of each file of the folder that a process left open how it was released."""
    found = {}
    for group in report["groups"]:
        for sample in group["samples"]:
            if group["pid"] == pid and sample["target"].startswith(folder + "/"):
                assert group["count"] == 1, group
                name = sample["target"].rpartition(".")[2]
                assert name not in found, "%s is there twice" % name
                found[name] = "never" if group["released"]["never"] else "at_shutdown"
    return found


def process_of(report, pid):
    found = [process for process in report["processes"] if process["pid"] == pid]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", SCENARIOS)
def test_end(followed, name):
    version, folder, report, statuses = followed
    mark, code, signal, files = SCENARIOS[name]
    pid, status = statuses[name]
    if name == "keyboard_interrupt" and version in ("3.6.15", "3.7.16"):
        code, signal = 1, 0  # 3.8 brought the death by the signal itself
    assert status == (-signal or code)
    process = process_of(report, pid)
    assert (process["left_open_at"], process["exit_code"], process["signal"]) == (mark, code, signal)
    assert left_open(report, pid, folder) == files


def test_forked_child_has_its_own(followed):
    """What it inherited is its parent's; what it opened itself is its own."""
    folder, report, statuses = followed[1:]
    children = [process for process in report["processes"] if process["ppid"] == statuses["forked_child"][0]]
    assert [(child["left_open_at"], child["exit_code"]) for child in children] == [("finalize", 5)]
    assert left_open(report, children[0]["pid"], folder) == {"child": "never"}
