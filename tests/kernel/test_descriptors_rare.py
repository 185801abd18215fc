"""The rarer calls that give descriptors; what they return that is none; each way to release what they made."""

import pytest

import descriptors_case as case_of
import truth
from descriptors_case import RARE_MAKERS as MAKERS

# What each case leaves: numbers begin at 3.
NONE = {
    "main": [],
    "release_by_close": [],
    "release_by_close_range": [],
    "release_by_exec": [],
    "release_by_dup2_over_it": [],
    "signalfd_changes_a_mask": [3],
    "landlock_versions": [],
    "bpf_commands_that_give_none": [],
    "seccomp_without_a_listener": [],
    "io_uring_registered_only": [],
    "fcntl_that_copies_nothing": [],
    "dup2_of_itself": [],
    "pidfd_calls_that_give_none": [],
    "clone_without_a_pidfd": [],
}
# Descriptors that a case makes, so that it is known to have done what it is for; dup2 makes one more of each.
MADE = {
    "signalfd_changes_a_mask": 1,
    "bpf_commands_that_give_none": 1,
    "seccomp_without_a_listener": 0,
    "io_uring_registered_only": 0,
    "fcntl_that_copies_nothing": 3,
    "dup2_of_itself": 1,
    "pidfd_calls_that_give_none": 1,
    "clone_without_a_pidfd": 0,
    "release_by_close": 18,
    "release_by_close_range": 18,
    "release_by_dup2_over_it": 36,
}
# Each release case clones one child, and so does the last; exec's process is the same one before and after.
NONE_SILENT = 5


def kernel_lacks(call):
    """Return whether the running kernel says itself that it does not have that call."""
    if call == "memfd_secret":
        with open("/sys/module/secretmem/parameters/enable", encoding="utf-8") as file:
            return file.read() == "N\n"
    with open("/proc/kallsyms", encoding="utf-8") as file:
        return not any(line.split()[2] == "__x64_sys_" + call for line in file)


def makers_told(told):
    """Return the makers that this kernel has; one that the workload found to be lacking must be so."""
    lacking = {line["label"][len("leave_"):]: line["lacks"] for line in told.lines if "lacks" in line}
    for call in lacking.values():
        assert kernel_lacks(call), call
    return [maker for maker in MAKERS if maker not in lacking]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    return truth.follow("descriptors_rare", tmp_path_factory.mktemp("descriptors"))


@pytest.fixture(scope="module")
def none(tmp_path_factory):
    return truth.follow("descriptors_none", tmp_path_factory.mktemp("none"))[1:]


@pytest.mark.parametrize("maker", MAKERS)
def test_each_maker_is_there_once(followed, maker):
    _, told, report = followed
    if maker not in makers_told(told):
        pytest.skip("this kernel has no " + maker)
    case_of.assert_made_once(told, report, maker)
    case_of.assert_finding_at_its_function(told, report, maker, "descriptors_rare.c")


def test_targets(followed):
    folder, told, report = followed
    makers = makers_told(told)
    targets = {maker: case_of.targets_of(report, maker) for maker in makers}
    own = told.pid("makers")
    with open("/proc/filesystems", encoding="utf-8") as file:
        filesystems = {line.split()[-1] for line in file}
    wanted = {
        "memfd_secret": "secretmem", "timerfd_create": "[timerfd]", "signalfd": "[signalfd]",
        "signalfd4": "[signalfd]", "inotify_init": "inotify", "inotify_init1": "inotify",
        "fanotify_init": "[fanotify]", "pidfd_open": "pidfd of %d" % own, "pidfd_getfd": "[eventfd]",
        "clone": "pidfd of %d" % told.line("child_of_leave_clone")["child"],
        "clone3": "pidfd of %d" % told.line("child_of_leave_clone3")["child"],
        "userfaultfd": "[userfaultfd]", "perf_event_open": "[perf_event]", "bpf_map": "bpf-map",
        "bpf_program": "bpf-prog", "bpf_map_by_id": "bpf-map", "bpf_link": "bpf_link", "io_uring_setup": "[io_uring]",
        "fsopen": "[fscontext]", "fsmount": "[detached tmpfs]/", "fspick": "[fscontext]", "open_tree": str(folder),
        "openat_of_a_namespace": "net namespace", "open_by_handle_at": str(folder / "by_handle"),
        "landlock_create_ruleset": "[landlock-ruleset]", "mq_open": "/leftopen-queue", "seccomp": "seccomp notify",
    }
    for maker, target in wanted.items():
        if maker in makers:
            assert targets[maker] == [target], maker
    # The folder's own filesystem, whichever that is.
    filesystem = targets["open_tree_clone"][0].removeprefix("[detached ").partition("]")[0]
    assert filesystem in filesystems
    for maker, inside in (("open_tree_clone", ""), ("open_tree_attr", ""),
                          ("openat_in_a_detached_mount", "in_detached")):
        if maker in makers:
            assert targets[maker] == ["[detached %s]/%s" % (filesystem, inside)]
    assert set(wanted) | {"open_tree_clone", "open_tree_attr", "openat_in_a_detached_mount"} == set(MAKERS)


def test_the_makers_process_holds_what_it_read(followed):
    _, told, report = followed
    truth.assert_descriptors(report, told.line("makers"))
    makers = makers_told(told)
    assert len(told.line("makers")["fds"]) == len(makers)
    # Two children were cloned with a pidfd.
    case_of.assert_nothing_else(told, report, ["makers"], silent=2)


@pytest.mark.parametrize("case", NONE)
def test_what_is_no_descriptor_leaves_none(none, case):
    told, report = none
    line = told.line(case)
    assert sorted(map(int, line["fds"])) == NONE[case]
    truth.assert_descriptors(report, line)
    descriptors = truth.process_of(report, line["pid"])["fds"]
    assert descriptors["live"] == line["held"]


@pytest.mark.parametrize("case", MADE)
def test_what_was_made_is_counted_once(none, case):
    """Besides, each case reads its own table twice, at its beginning and at its end."""
    told, report = none
    descriptors = truth.process_of(report, told.pid(case))["fds"]
    truths = descriptors["opened"] - MADE[case]
    assert truths == 2, descriptors
    assert descriptors["closed"] == descriptors["opened"] - len(NONE[case])


def test_versions_are_no_descriptors(none):
    """The case held every number from 3 up to the version, and at least one."""
    told, report = none
    descriptors = truth.process_of(report, told.pid("landlock_versions"))["fds"]
    version = told.line("landlock_version")["version"]
    assert descriptors["opened"] == descriptors["closed"] == 2 + max(1, version - 2)


def test_a_number_that_is_given_again_keeps_its_maker(none):
    told, report = none
    groups = truth.groups_of(report, "fd", told.pid("signalfd_changes_a_mask"))
    assert [(group["origin"], group["type"]) for group in groups] == [("signalfd", "signalfd")]


def test_rings_that_are_only_registered_were_tried(none):
    """Kernels before 6.5 refuse them; this one must have made one, unless it is as old."""
    told, _ = none
    with open("/proc/sys/kernel/osrelease", encoding="utf-8") as file:
        release = tuple(int(part) for part in file.read().split("-")[0].split(".")[:2])
    refused = any(line["label"] == "no_registered_rings" for line in told.lines)
    assert refused == (release < (6, 5))


def test_nothing_else_and_nothing_unseen(none):
    told, report = none
    case_of.assert_nothing_else(told, report, NONE, silent=NONE_SILENT)
