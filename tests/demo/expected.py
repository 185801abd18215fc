"""What a monitor has to find in a run of one of the suites.

Purpose: tells, for each line of a suite that leaves something open, how many descriptors and shared
mappings that line is to be blamed for.
Inputs: the suite's source, where such a line ends in MARKER, and the JSON file that the run wrote because
DEMO_TRUTH named it (truth.py says what is in it).
Outputs: dicts, keyed "file.py:line" with the file relative to the suite's folder.
Trust: both inputs are this repository's own; a descriptor that no marked line accounts for is an error.
"""

import json
import os

MARKER = "  # left open"
HELD_MARKER = "  # held"

# Each leak by the name that truth.py gives it (the name of its file, where it has one): the source file,
# relative to the suite's folder, and what tells the line from other marked lines there.
LEAKS = {
    "app.db": ("conftest.py", "create_all("),
    "report.db": ("test_reports.py", "Session("),
    "schema.db": ("test_schema.py", "inspect("),
    "listener": ("test_feed.py", "create_server("),
    "connection": ("test_feed.py", "create_connection("),
    "levels.bin": ("test_snapshot.py", "fileno()"),
    "board": ("test_snapshot.py", "mmap.mmap(-1"),
}
HELD = {"audit.log": ("../inventory/log.py", "audit.log")}


def _find(folder, place, marker):
    """Return the "file.py:line" of the one line of `place` that ends in `marker`, None if none does."""
    file, fragment = place
    with open(os.path.join(folder, file), encoding="utf-8") as source:
        lines = [number for number, line in enumerate(source, 1)
                 if line.rstrip("\n").endswith(marker) and fragment in line]
    if len(lines) > 1:
        raise ValueError("%s: %d lines with %s are marked" % (file, len(lines), fragment))
    return "%s:%d" % (file, lines[0]) if lines else None


def site_of(folder, name):
    """Return the "file.py:line" that opens what truth.py calls `name`, None if no line is marked for it."""
    if name in HELD:
        return _find(folder, HELD[name], HELD_MARKER)
    return _find(folder, LEAKS[name], MARKER)


def marked_lines(folder):
    """Return the "file.py:line" of every marked line of the suite, by file and line."""
    found = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as source:
                found += ["%s:%d" % (name, number) for number, line in enumerate(source, 1)
                          if line.rstrip("\n").endswith(MARKER)]
    return found


def load_truth(truth=None):
    """Return the counts as written to the file `truth`; by default the one that DEMO_TRUTH names."""
    with open(truth or os.environ["DEMO_TRUTH"], encoding="utf-8") as file:
        return json.load(file)


def _count(folder, descriptors, mappings):
    sites = {}
    for unit, handles in (("fds", descriptors), ("maps", mappings)):
        for handle in handles:
            site = site_of(folder, handle["name"])
            if site is None:
                raise ValueError("%s is open, but no line is marked for it" % handle["target"])
            sites.setdefault(site, {"fds": 0, "maps": 0})[unit] += 1
    return sites


def expected_sites(folder, truth=None):
    """Return {"file.py:line": {"fds": n, "maps": n}} for what the run of the suite in `folder` leaked."""
    counted = load_truth(truth)
    return _count(folder, counted["descriptors"], counted["mappings"])


def held_sites(folder, truth=None):
    """Return the same for what stays open until the interpreter is taken down, and is no leak."""
    return _count(folder, load_truth(truth)["held"], [])
