"""What the tests of calls that give descriptors share: which there are, and what a report must say of each.

Inputs: include/fd_calls.def; the reports and truths of workloads with a function `leave_MAKER` for each maker.
"""

import leftopen
import truth

MAKERS = [
    "open", "openat", "openat2", "creat", "dup", "dup2", "dup3", "fcntl_dupfd", "fcntl_dupfd_cloexec", "socket",
    "socketpair", "accept", "accept4", "pipe", "pipe2", "eventfd", "eventfd2", "epoll_create", "epoll_create1",
    "memfd_create"]

RARE_MAKERS = [
    "memfd_secret", "timerfd_create", "signalfd", "signalfd4", "inotify_init", "inotify_init1", "fanotify_init",
    "pidfd_open", "pidfd_getfd", "clone", "clone3", "userfaultfd", "perf_event_open", "bpf_map", "bpf_program",
    "bpf_map_by_id", "bpf_link", "io_uring_setup", "fsopen", "fsmount", "fspick", "open_tree", "open_tree_clone",
    "open_tree_attr", "openat_in_a_detached_mount", "openat_of_a_namespace", "open_by_handle_at",
    "landlock_create_ruleset", "mq_open", "seccomp"]

RECEIVED_MAKERS = [
    "recvmsg", "recvmsg_several", "recvmsg_full", "recvmsg_truncated", "recvmsg_with_credentials", "recvmsg_peek",
    "recvmsg_pidfd", "received_file", "received_memfd", "received_socket", "received_pipe", "received_pidfd",
    "received_queue", "received_epoll", "recvmmsg", "recvmmsg_several", "recvmmsg_truncated"]

INSTALLED_MAKERS = [
    "terminal_peer", "owner_of_a_namespace", "namespace_of_a_socket", "namespace_of_a_pidfd",
    "userfaultfd_of_a_device", "file_of_an_event", "file_of_a_supervisor",
    "owner_of_a_namespace_beside_a_ring"]

# Calls whose cases bear other names.
CASES = {"fcntl": "fcntl_dupfd", "bpf": "bpf_map"}


def calls_of_the_table():
    """Return the names of the calls of include/fd_calls.def."""
    with open(leftopen.SOURCE + "/include/fd_calls.def", encoding="utf-8") as table:
        return [line.split("(")[1].split(",")[0] for line in table if line.startswith("FD_CALL(")]


def group_of_maker(report, maker):
    """Return the only group whose stack begins in the maker's function."""
    found = [group for group in report["groups"] if group["kind"] == "fd" and group["stack"] in report["stacks"]
             and report["stacks"][group["stack"]]["frames"][0]["function"] == "leave_" + maker]
    assert len(found) == 1, "%d groups of %s" % (len(found), maker)
    return found[0]


def assert_made_once(told, report, maker):
    """The maker's descriptors are there once: their type, call, numbers and thread."""
    line = told.line("leave_" + maker)
    group = group_of_maker(report, maker)
    assert (group["type"], group["origin"]) == (line["type"], line["origin"])
    assert [sample["fd"] for sample in group["samples"]] == line["numbers"]
    assert group["instances"] == 1
    assert group["released"] == {"never": len(line["numbers"]), "at_shutdown": 0}
    assert {sample["tid"] for sample in group["samples"]} == {line["pid"]}


def assert_finding_at_its_function(told, report, maker, file):
    """The maker's function is one finding of all that it made."""
    found = [site for site in report["sites"] if site["location"]["function"] == "leave_" + maker]
    assert [(site["verdict"], site["fds"]) for site in found] == [
        ("left-open", len(told.line("leave_" + maker)["numbers"]))]
    assert found[0]["location"]["file"].endswith(file) and found[0]["location"]["line"] > 0


def targets_of(report, maker):
    """Return what the report says that the maker's descriptors refer to."""
    return [sample["target"] for sample in group_of_maker(report, maker)["samples"]]


def assert_nothing_else(told, report, labels, silent=0):
    """Of all processes just those tell, `silent` tell nothing, and what is left open is what they told."""
    assert {line["label"] for line in told.tellers} == set(labels)
    assert len(report["processes"]) == len({line["pid"] for line in told.tellers}) + silent
    assert sum(group["count"] for group in truth.groups_of(report, "fd")) == sum(
        len(line["fds"]) for line in told.tellers)
    assert report["completeness"]["reconciled"] == 0
    assert report["completeness"]["drift"] == 0
