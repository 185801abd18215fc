"""Counts what a suite leaves open, from the process's own /proc.

Purpose: the truth that a monitor's findings are compared with. A conftest.py imports this module first, so
that what was open before (pytest's own files among it) is known, and calls write() last.
Inputs: /proc/self/fd, /proc/self/maps, and the environment variable DEMO_TRUTH, the file to write to.
Outputs: that file, JSON:
    pid, folder         the process and the suite
    descriptors         left open: [{"fd", "target" (as readlink has it), "name", "site"}]
    mappings            left mapped: [{"addr", "bytes", "target", "name", "site"}], shared mappings only
    held                as descriptors, for the log that is open until the interpreter is taken down
    closed_by_hook      as descriptors, for the log that logging's exit hook closes after the count
    unexplained         whatever else is open; nothing is expected here
"name" is what expected.py knows a leak by, "site" the marked line, relative to the suite's folder.
Trust: the kernel's tables are taken as they are; names come from the suites' own files.
"""

import json
import os
import socket

import expected

# pytest points the standard streams elsewhere while it captures: a new target there was not opened by a test.
STDERR = 2


def open_descriptors():
    """Return {number: target}; the descriptor that reads the list is gone before the targets are read."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except FileNotFoundError:
            continue
    return found


def shared_mappings():
    """Return {(start, end): target} of the process's shared mappings."""
    found = {}
    with open("/proc/self/maps", "rb") as maps:
        for line in maps:
            fields = line.rstrip(b"\n").split(None, 5)
            if fields[1].endswith(b"s"):
                start, end = (int(address, 16) for address in fields[0].split(b"-"))
                found[start, end] = os.fsdecode(fields[5]) if len(fields) > 5 else ""
    return found


_descriptors_before = open_descriptors()
_mappings_before = shared_mappings()


def _socket_name(fd):
    with socket.socket(fileno=fd) as view:
        listening = view.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        view.detach()
    return "listener" if listening else "connection"


def _name(target, fd=None):
    if target.startswith("socket:"):
        return _socket_name(fd)
    if target == "/dev/zero (deleted)":
        return "board"
    name = os.path.basename(target)
    for suffix in (" (deleted)", "-wal", "-shm"):
        if name.endswith(suffix):
            name = name[:-len(suffix)]
    return name


def write(conftest):
    """Write what was opened since this module was imported and is open now, for the suite of `conftest`."""
    path = os.environ.get("DEMO_TRUTH")
    if not path:
        return
    folder = os.path.dirname(os.path.abspath(conftest))
    descriptors = open_descriptors()
    mappings = shared_mappings()
    counted = {"pid": os.getpid(), "folder": folder, "descriptors": [], "mappings": [], "held": [],
               "closed_by_hook": [], "unexplained": []}
    for fd, target in sorted(descriptors.items()):
        if fd > STDERR and _descriptors_before.get(fd) != target:
            handle = {"fd": fd, "target": target, "name": _name(target, fd)}
            _file_under(counted, "descriptors", handle)
    for (start, end), target in sorted(mappings.items()):
        if _mappings_before.get((start, end)) != target:
            handle = {"addr": hex(start), "bytes": end - start, "target": target, "name": _name(target)}
            _file_under(counted, "mappings", handle)
    for handle in counted["descriptors"] + counted["mappings"] + counted["held"]:
        handle["site"] = expected.site_of(folder, handle["name"])
    with open(path, "w", encoding="utf-8") as file:
        json.dump(counted, file, indent=1)
        file.write("\n")


def _file_under(counted, key, handle):
    if handle["name"] in expected.HELD:
        key = "held"
    elif handle["name"] == "inventory.log":
        key = "closed_by_hook"
    elif handle["name"] not in expected.LEAKS:
        key = "unexplained"
    counted[key].append(handle)
