"""Processes at the kernel's own limits: as many descriptors as one may have, up to a million, and as many mappings.

Purpose: what is told of them is exact and complete, through the smallest ring too, and takes bounded memory.
Inputs: many.py. Outputs: assertions, and how many it were (pytest -s).
"""

import json
import subprocess

import pytest

import leftopen
import many
import truth

MILLION = 1000000
# What a ring of 16 MiB cannot hold at once of a table's own numbers, 16 bytes each.
RING_NUMBERS = 500000
MAKERS = {"descriptors": "make_descriptors", "mappings": "make_mappings"}


def test_descriptors_watched():
    """Through a ring of 64 KiB: what was there before is known, and is gone with the one call that releases it."""
    many.check_watched("descriptors", MILLION, is_each_compared=True)


@pytest.mark.parametrize("what, count", [("descriptors", MILLION), ("mappings", 70000)])
def test_run(what, count, tmp_path):
    """Made and held at its end: each is there, under the line that made it."""
    path = tmp_path / "report.json"
    ring_mb = 64 if count > RING_NUMBERS else 16
    # Emulated, a million take minutes.
    done = subprocess.run([leftopen.LEFTOPEN, "run", "--json", str(path), "--ring-size", "%dM" % ring_mb, "--",
                           leftopen.workload("many"), what, str(count)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    pid, made = (int(number) for number in done.stdout.split())
    print("%d %s" % (made, what))
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    leftopen.validate(report)
    assert report["completeness"]["complete"], report["completeness"]
    sites = [(site["location"]["function"], site["fds"] + site["maps"]) for site in report["sites"]]
    # The file of which the others are copies is opened at a line of its own.
    opened = what == "descriptors"
    assert sorted(sites) == [(MAKERS[what], 1)] * opened + [(MAKERS[what], made - opened)]
    assert truth.process_of(report, pid)["left_open_at"] == "exit"
    many.check_memory(report, made, ring_mb)
