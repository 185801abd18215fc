"""How much of everything leftopen follows: events a second, memory of a handle, what surveys cost.

Purpose: tables in Markdown for bench.py. Inputs: the build folder. Outputs: lines of text.
"""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

LIMIT_S = 120
STORM_S = 10
# A process holds less than the hard limit of descriptors allows, and less than vm.max_map_count.
PROCESSES, EACH = 60, 16700
SURVEYED_PROCESSES = 6
SURVEYS_S = 21
# Between two looks at leftopen's CPU time; more than this share of it in one is a survey.
LOOK_S = 0.1
SURVEY_SHARE = 0.05


def wait_for(condition, what):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"bench: waited {LIMIT_S} s for {what}")
        time.sleep(0.05)


def cpu_s(pid):
    """The first figure of schedstat is the time on a CPU in ns (Documentation/scheduler/sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def memory_bytes(pid):
    """All that it has resident, its ring included."""
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1)) * 1024


class Watch:
    """`leftopen watch -p` of one process and all that it starts; it prints a table when it is asked."""

    def __init__(self, build, pid, folder):
        self.path = folder / "watch.txt"
        self.file = self.path.open("w")
        self.process = subprocess.Popen(
            [build / "leftopen", "watch", "-p", str(pid), "3600"],
            stdin=subprocess.DEVNULL,
            stdout=self.file,
            stderr=self.file,
        )
        wait_for(self.takes_signals, "leftopen to start")
        # Until the surveys that it begins with are through.
        time.sleep(4)

    def takes_signals(self):
        blocked = re.search(r"^SigBlk:\s+(\w+)$", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        return int(blocked.group(1), 16) >> (signal.SIGUSR1 - 1) & 1

    def tables(self):
        return re.findall(r"([\d,]+) descriptors? and ([\d,]+) mappings? open$", self.path.read_text(), re.MULTILINE)

    def table(self):
        """@return {"fd": n, "map": n} that are open"""
        before = len(self.tables())
        self.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: len(self.tables()) > before, "a table")
        return dict(zip(("fd", "map"), (int(figure.replace(",", "")) for figure in self.tables()[-1])))

    def complete(self):
        return "not complete" not in self.path.read_text()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.file.close()


class Holders:
    """Processes that hold what they are told to."""

    def __init__(self, build, kind):
        self.process = subprocess.Popen(
            [build / "bench/holders", kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def make(self, processes, each):
        self.process.stdin.write(f"{processes} {each}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "bench: holders\n":
            raise RuntimeError("bench: the handles could not be made")

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def followed_holders(build, kind, folder):
    """@return holders, and who watches them and has named where handles are made: names cost once, not a handle"""
    holders = Holders(build, kind)
    watch = Watch(build, holders.process.pid, folder)
    holders.make(1, 10)
    watch.table()
    return holders, watch


def bytes_a_handle(build, kind, folder):
    """@return bytes of leftopen's own memory for each of a million live handles, and what else is to be said"""
    holders, watch = followed_holders(build, kind, folder)
    try:
        before_bytes, before = memory_bytes(watch.process.pid), watch.table()[kind]
        holders.make(PROCESSES, EACH)
        handles = watch.table()[kind] - before
        taken = memory_bytes(watch.process.pid) - before_bytes
        lost = "" if watch.complete() else ", **some were lost**"
        return taken / handles, f"{handles:,} handles, {taken / 1e6:.1f} MB{lost}"
    finally:
        watch.end()
        holders.end()


def surveys(pid):
    """CPU seconds of each survey that leftopen makes meanwhile: it does nothing else then."""
    found, before, running = [], cpu_s(pid), False
    for _ in range(int(SURVEYS_S / LOOK_S)):
        time.sleep(LOOK_S)
        now = cpu_s(pid)
        if now - before > LOOK_S * SURVEY_SHARE:
            if not running:
                found.append(0.0)
            found[-1] += now - before
            running = True
        else:
            running = False
        before = now
    return found


def survey_cost(build, folder):
    """@return CPU seconds of each survey of 100,000 descriptors, leftopen's share of a CPU, and what is said of it"""
    holders, watch = followed_holders(build, "fd", folder)
    try:
        holders.make(SURVEYED_PROCESSES, 100000 // SURVEYED_PROCESSES + 1)
        handles = watch.table()["fd"]
        before, start = cpu_s(watch.process.pid), time.monotonic()
        seen = surveys(watch.process.pid)
        share = (cpu_s(watch.process.pid) - before) / (time.monotonic() - start)
        return seen, share, f"{handles:,} descriptors"
    finally:
        watch.end()
        holders.end()


def storm(build, folder, call, rate, processes):
    """@return events a second, those that were lost, and leftopen's CPU seconds for a million"""
    report = folder / "storm.json"
    one = f"'{build}/bench/storm' {call} {rate} {STORM_S}"
    command = " & ".join([one] * processes) + "; wait"
    done = subprocess.run(
        [build / "leftopen", "run", f"--json={report}", "--", build / "bench/steps", "storm", "sh", "-c", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    made = re.findall(r"^bench: storm (\d+) (\d+)", done.stdout, re.MULTILINE)
    own_ns = int(re.search(r"^bench: step storm \d+ \d+ (\d+) 0$", done.stdout, re.MULTILINE).group(1))
    if len(made) != processes:
        raise RuntimeError(f"bench: {done.stdout}{done.stderr}")
    events = sum(int(events) for events, _ in made)
    return (
        sum(int(events) / int(ns) * 1e9 for events, ns in made),
        json.loads(report.read_text())["completeness"]["lost"],
        own_ns / 1e3 / events,
    )


def print_storms(build, folder, wait_until_alone):
    titles = ("events a second", "lost", "leftopen's CPU s for a million", "aim")
    print(f"| for {STORM_S} s, ring of the default size | {' | '.join(titles)} |")
    print("|---|---|---|---|---|")
    most = 0
    for title, call, rate, processes in (
        ("open + close, as fast as one process can", "open", 0, 1),
        ("open + close, as fast as two processes can", "open", 0, 2),
        ("dup + close, 1,000,000 events a second asked of two processes", "dup", 500000, 2),
        ("dup + close, as fast as two processes can", "dup", 0, 2),
    ):
        wait_until_alone()
        a_second, lost, cpu = storm(build, folder, call, rate, processes)
        most = max(most, 0 if lost else a_second)
        print(f"| {title} | {a_second:,.0f} | {lost:,} | {cpu:.2f} | 0.50 |", flush=True)
    print(f"\nevents a second without loss, the most of these: {most:,.0f}")


def print_handles(build, folder, wait_until_alone):
    print("| a million live handles | bytes per live handle | aim |")
    print("|---|---|---|")
    for title, kind in (("descriptors", "fd"), ("mappings", "map")):
        wait_until_alone()
        each, what = bytes_a_handle(build, kind, folder)
        print(f"| {title} ({what}) | {each:.0f} | 120 |", flush=True)


def print_surveys(build, folder, wait_until_alone):
    wait_until_alone()
    seen, share, what = survey_cost(build, folder)
    milliseconds = ", ".join(f"{one * 1e3:.0f}" for one in seen)
    print(
        f"reconciliation with {what} open: {milliseconds or 'less than 5'} ms of CPU a survey, one each five "
        f"seconds; watching costs {share * 100:.2f} % of a CPU in all"
    )


def print_scale(build, folder, wait_until_alone):
    """Prints all of it."""
    for part in (print_storms, print_handles, print_surveys):
        part(build, folder, wait_until_alone)
        print()
