"""50,000 processes a minute, for minutes: under `watch -a` with memory that stays the same, and under `run`, whose
report has every one of them. And 1,000,000 events a second.
"""

import json
import os
import re
import subprocess
import tempfile

import leftopen
import truth
import watching
from scale_case import Churn, memory_of
from watching import Watching

PER_MINUTE = 50000
ROUND = 10000
ROUNDS = 10
# By chance, as there are more or fewer at a table; 45 bytes of each that is gone would be as much.
GROWTH_MOST = 4 << 20
EVENTS_A_SECOND = 1000000
STORM_S = 10


def functions_of(report):
    """Return the names of all frames of its stacks."""
    return {frame["function"] for stack in report["stacks"].values() for frame in stack["frames"]}


def test_watching_all_that_come_and_go():
    """Of the one that follows the whole machine, memory is held against another's that follows these processes only.

    What it takes once to name the lines of a file, of which the table after the first round has some, is not growth.
    """
    options = ("--inherited", "--samples", "0")
    with Churn(PER_MINUTE * 21 // 1200) as churn, Watching("-a", *options, interval="2") as watch, \
            Watching("-p", str(churn.pid), *options, interval="2") as watch_one:
        watch.follows(churn.pid)
        watch_one.follows(churn.pid)
        seconds, memory = [], []
        for number in range(ROUNDS):
            seconds.append(churn.make(ROUND))
            if not number:
                assert "memfd_create" in functions_of(watch_one.ask_for_table())
            memory.append(memory_of(watch_one.process.pid))
            print("%.1f s, KiB: %d, of all processes: %d" % (seconds[-1], memory[-1] >> 10,
                                                             memory_of(watch.process.pid) >> 10))
        assert sum(seconds) <= ROUNDS * ROUND / PER_MINUTE * 60, "the machine is too slow to say: %s" % seconds
        assert memory[-1] - memory[0] < GROWTH_MOST, memory
        for report in (watch.ask_for_table(), watch_one.ask_for_table()):
            assert report["completeness"]["complete"], report["completeness"]
            names = {process["pid"] for process in report["processes"]
                     if process["comm"] == "churn" and not process["exited"]}
            assert names == {churn.pid}
            assert set(watching.live_descriptors(report, churn.pid)) == set(watching.descriptors_of(churn.pid))


def test_a_run_of_a_minute_has_each():
    with tempfile.TemporaryDirectory(prefix="leftopen-soak.") as folder:
        path = os.path.join(folder, "report.json")
        done = subprocess.run([leftopen.LEFTOPEN, "run", "--json", path, "--", leftopen.workload("churn"),
                               str(PER_MINUTE // 60)], input=b"%d\n" % PER_MINUTE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=600, check=False)
        assert done.returncode == 0, done.stderr.decode()
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    assert report["completeness"]["complete"], report["completeness"]
    assert len(report["processes"]) == PER_MINUTE + 1
    left = {}
    for group in truth.groups_of(report, "fd"):
        assert (group["origin"], group["type"], group["count"]) == ("memfd_create", "memfd", 1)
        left[group["process"]] = left.get(group["process"], 0) + 1
    assert sorted(left.values()) == [1] * (PER_MINUTE + 1)


def test_a_million_events_a_second_without_loss():
    """In the ring of the default size, of two processes that keep the pace."""
    storm = "'%s/bench/storm' dup %d %d" % (leftopen.BUILD, EVENTS_A_SECOND // 2, STORM_S)
    done = leftopen.run("sh", "-c", f"{storm} & {storm}; wait", timeout=600)
    assert done.status == 0, done.stderr
    events = [int(events) for events in re.findall(rb"^bench: storm (\d+) ", done.stdout, re.MULTILINE)]
    assert len(events) == 2
    assert sum(events) >= 0.99 * EVENTS_A_SECOND * STORM_S, "the machine is too slow to say: %s" % events
    completeness = done.report["completeness"]
    assert completeness["complete"] and not completeness["lost"], completeness
    assert completeness["events"] >= sum(events)
