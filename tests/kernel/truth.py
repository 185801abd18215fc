"""What workloads tell of themselves (workloads/truth.h), and reports held against it."""

import json
import re

import leftopen

# What readlink says of handles of which a report says more.
READLINK_SAYS = {"socket": "socket", "pidfd": "[pidfd]"}


class Truth:
    """The JSON lines of a workload: `lines` in order, `tellers` those that tell what a process held at its end."""

    def __init__(self, stdout):
        self.lines = [json.loads(line) for line in stdout.decode().splitlines()]
        self.tellers = [line for line in self.lines if "fds" in line]

    def line(self, label):
        """Return the only line of that label."""
        found = [line for line in self.lines if line["label"] == label]
        assert len(found) == 1, "%d lines of %s" % (len(found), label)
        return found[0]

    def pid(self, label):
        """Return the process that told that line."""
        return self.line(label)["pid"]


def process_of(report, pid):
    """Return the report's only process of that id."""
    found = [process for process in report["processes"] if process["pid"] == pid]
    assert len(found) == 1, "%d processes %d" % (len(found), pid)
    return found[0]


def follow(name, folder):
    """Run a workload that takes a folder; return the folder, what the workload told, and the report, all samples in it."""
    result = leftopen.run(leftopen.workload(name), str(folder), options=["--samples", "0"])
    assert result.status == 0, result.stderr
    return folder, Truth(result.stdout), result.report


def groups_of(report, kind, pid=None):
    """Return the groups of that kind, of one process or of all; each must agree with its own samples."""
    groups = [group for group in report["groups"] if group["kind"] == kind and pid in (None, group["pid"])]
    for group in groups:
        assert group["count"] == len(group["samples"]) == sum(group["released"].values())
        assert report["processes"][group["process"]]["pid"] == group["pid"]
        assert group["bytes"] == sum(sample["bytes"] for sample in group["samples"])
    return groups


def target_of_link(link):
    """Return the target as reports name it, of what readlink says of /proc/self/fd/N.

    A deleted file is named without the remark; of nameless things the number of the inode is not shown.
    """
    link = link[:-len(" (deleted)")] if link.endswith(" (deleted)") else link
    if link.startswith("/memfd:") or link == "/secretmem":
        return link[1:]
    if link.startswith("pidfd:["):
        return "[pidfd]"
    if link.startswith("anon_inode:"):
        return link[len("anon_inode:"):]
    return link.split(":[")[0]


def left_open_descriptors(report, pid):
    """Return {number: target} of what the report says that the process left open."""
    held = {}
    for group in groups_of(report, "fd", pid):
        for sample in group["samples"]:
            assert sample["fd"] not in held, "number %d twice" % sample["fd"]
            target = re.sub(r"^\[detached [^]]*\]", "", sample["target"])
            target = re.sub(r" namespace$", "", target)
            held[sample["fd"]] = READLINK_SAYS.get(group["type"], target)
    return held


def assert_descriptors(report, teller):
    """The report has for that process exactly what it told: each number once, with its target."""
    told = {int(fd): target_of_link(link) for fd, link in teller["fds"].items()}
    assert left_open_descriptors(report, teller["pid"]) == told, teller["label"]
    assert all(group["origin"] != "unseen" for group in groups_of(report, "fd", teller["pid"])), teller["label"]


def assert_ended(process, mark, exit_code, by_signal):
    """The process is gone, its set was taken at that mark, and this is how it ended."""
    assert process["exited"]
    assert (process["left_open_at"], process["exit_code"], process["signal"]) == (mark, exit_code, by_signal)


def union(ranges):
    """Return the ranges sorted, with those joined that touch or overlap."""
    joined = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return [tuple(pair) for pair in joined]


def subtract(ranges, holes):
    """Return what of the ranges lies in none of the holes."""
    left, holes, first = [], union(holes), 0
    for start, end in union(ranges):
        while first < len(holes) and holes[first][1] <= start:
            first += 1
        at = first
        while at < len(holes) and holes[at][0] < end:
            left.append((start, holes[at][0]))
            start = holes[at][1]
            at += 1
        left.append((start, end))
    return [(start, end) for start, end in left if start < end]


def size(ranges):
    """Return the number of bytes in ranges that do not overlap."""
    return sum(end - start for start, end in ranges)


def made_by_calls(line):
    """Return the ranges of a process that it made by system calls itself, of what it read in /proc/self/maps.

    Left out is what execve(2) mapped (fs/binfmt_elf.c): the PT_LOAD segments of the program and of its loader in
    whole pages, .bss included ("image", from the program headers that the kernel passed); the stack; [vdso], [vvar]
    and [vvar_vclock]; [vsyscall], which is no mapping of the process. [heap] is what brk(2) made.
    [uprobes] is the page that leftopen's own marks give to a process. A name in brackets is always the kernel's:
    a mapping of a file has an absolute path.
    """
    mapped = [(start, end) for start, end, _, name in line["maps"] if not name.startswith("[") or name == "[heap]"]
    return subtract(mapped, line["image"])


def left_open_ranges(report, pid):
    """Return the addresses that the report says the process left mapped; no two of them overlap."""
    ranges = [(int(sample["addr"], 16), int(sample["addr"], 16) + sample["bytes"])
              for group in groups_of(report, "map", pid) for sample in group["samples"]]
    joined = union(ranges)
    assert size(joined) == sum(end - start for start, end in ranges), "ranges overlap"
    return joined


def assert_mappings(report, line):
    """Addresses and bytes that the report has for that process are exactly those that it read."""
    told = made_by_calls(line)
    left = left_open_ranges(report, line["pid"])
    assert left == told, (line["label"], "missing", subtract(told, left), "phantom", subtract(left, told))
    assert process_of(report, line["pid"])["maps"]["bytes"] == size(told), line["label"]
