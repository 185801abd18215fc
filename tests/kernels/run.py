#!/usr/bin/python3
"""Runs the kernel tests with this machine's own build/leftopen on other kernels, under qemu. Run by `make kernels`.

Usage: run.py [KERNEL...] [-- COMMAND], of those that packages.py has; all where none is given. With a command only
that is run, and what it writes is shown.
Environment: LEFTOPEN_BUILD, the build folder (../../build); KERNEL_TESTS, files of TESTS where not all are wanted;
KERNEL_PARAMETERS, for the kernel's command line: lockdown=confidentiality.
Outputs: a line for each kernel and file of tests, a total, and status 1 where anything failed. What the tests wrote
is kept below build/kernels/logs.
"""

import os
import re
import shlex
import signal
import sys
import time
from dataclasses import dataclass

import packages
from machine import Machine

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("LEFTOPEN_BUILD") or os.path.join(SOURCE, "build"))
CACHE = os.path.join(BUILD, "kernels")
LOGS = os.path.join(CACHE, "logs")
PARAMETERS = os.environ.get("KERNEL_PARAMETERS", "")
# Kernels that can be preempted anywhere (7.2), which makes programs be left out.
COUNTS = {"newest"}

# Emulated, programs take some fifteen times as long. So these are the files that meet the kernel: every BPF program,
# every call that makes or releases something, every mark, the unwinders, and the main job. Left out are the files
# whose subject is the command's own: its options, its terminal, its user, its messages, and signals that it gets.
# Left out of those that are run: other versions of Python than the one that Debian has, whose differences are
# Python's.
TESTS = {
    "test_descriptors.py": "",
    "test_descriptors_rare.py": "",
    "test_descriptors_received.py": "",
    "test_descriptors_installed.py": "",
    "test_uring.py": "",
    "test_tables.py": "",
    "test_mappings.py": "",
    "test_processes.py": "",
    "test_endings.py": "",
    "test_pids_again.py": "",
    "test_python_marks.py": "debian",
    "test_marked_tests.py": "",
    "test_memo.py": "",
    "test_first_runs.py": "",
    "test_generated_code.py": "test_names or container or frame_pointers or two_processes",
    "test_python_frames.py": "debian or embedd",
    "test_demo.py": "",
    "test_bounds.py": "",
    "test_bad_input.py": "",
    "test_missing_features.py": "",
    "test_namespaces.py": "",
    "test_large.py": "",
    "test_bad_names.py": "",
    "test_ordinary.py": "",
    "test_watch.py": "",
    "test_watch_threads.py": "",
    "../kernels/test_million.py": "",
}
BOOT_LIMIT_S = 120
FILE_LIMIT_S = 1800
KERNEL_LIMIT_S = 7200
FAILURES_SHOWN = 40

# What the script writes between the tests' own lines.
MARK = "=== leftopen "


@dataclass
class Outcome:
    kernel: str
    name: str
    passed: int
    failed: int
    skipped: int
    lines: list


def script_of(command):
    """Return what the guest's shell runs."""
    return "\n".join([
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8",
        "export PYTHONDONTWRITEBYTECODE=1 LEFTOPEN_BUILD=%s" % shlex.quote(BUILD), *command]) + "\n"


def script_of_tests(tests):
    """Return what runs each file by itself, so that the first is told while the last still runs."""
    lines = ["echo '%sbegin doctor'" % MARK,
             "$LEFTOPEN_BUILD/leftopen doctor",
             "echo '%send doctor' $?" % MARK,
             "cd tests/kernel"]
    for name, chosen in tests.items():
        lines += ["echo '%sbegin %s'" % (MARK, name),
                  "timeout -s INT -k 60 %d /usr/bin/python3 -m pytest -q --color=no --tb=short -rfEs -p no:cacheprovider "
                  "%s -k %s" % (FILE_LIMIT_S, name, shlex.quote(chosen)),
                  "status=$?; echo; echo '%send %s' $status" % (MARK, name)]
    return script_of(lines)


def judge(kernel, name, status, lines):
    """Return the outcome of a file of tests; one that ended without a word of its tests is one failure."""
    summary = next((line for line in reversed(lines) if re.search(r"\d+ (passed|failed|error)", line)), "")
    counts = {what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|error|skipped)", summary)}
    passed = counts.get("passed", 0)
    failed = counts.get("failed", 0) + counts.get("error", 0)
    if name == "doctor" and status == 0:
        passed = 1
    if (status != 0 or passed == 0) and failed == 0:
        failed = 1
    return Outcome(kernel, name, passed, failed, counts.get("skipped", 0), lines)


def show(outcome, took_s):
    """Print the outcome's line, what failed, and what a kernel lacks for a test."""
    print("%-8s %-28s %4d passed %4d failed %4d skipped %6.0f s" % (
        outcome.kernel, outcome.name, outcome.passed, outcome.failed, outcome.skipped, took_s), flush=True)
    found = [line for line in outcome.lines if re.match(r"FAILED|ERROR|SKIPPED", line)]
    if outcome.failed and not found:
        found = outcome.lines
    for line in found[-FAILURES_SHOWN:]:
        print("         " + line)
    sys.stdout.flush()


def run_kernel(name):
    """Boot a kernel, run everything on it, and return the outcomes."""
    tree, version = packages.fetch(name, CACHE)
    print("%-8s is Linux %s" % (name, version), flush=True)
    outcomes = []
    lines, began, current = [], time.monotonic(), None
    chosen = os.environ.get("KERNEL_TESTS", "").split()
    tests = {file: words for file, words in TESTS.items() if not chosen or file in chosen}
    wanted = ["doctor", *tests]
    with Machine(tree, version, (SOURCE, BUILD), script_of_tests(tests), PARAMETERS,
                 name in COUNTS) as machine, \
            open(os.path.join(LOGS, name + ".txt"), "w", encoding="utf-8") as log:
        for line in machine.lines(BOOT_LIMIT_S, KERNEL_LIMIT_S):
            log.write(line + "\n")
            log.flush()
            if not line.startswith(MARK):
                lines.append(line)
                continue
            what, current, *status = line[len(MARK):].split()
            if what == "end":
                outcomes.append(judge(name, current, int(status[0]), lines))
                show(outcomes[-1], time.monotonic() - began)
            lines, began = [], time.monotonic()
        missing = wanted[len(outcomes):]
        if missing:
            print("%-8s ended, or had no more time, before the end of %s; the console's last lines:" %
                  (name, missing[0]))
            for line in lines[-FAILURES_SHOWN:] + machine.console():
                print("         " + line)
    return outcomes + [Outcome(name, missed, 0, 1, 0, []) for missed in missing]


def run_command(name, command):
    """Boot a kernel, run a command on it and show what it writes."""
    tree, version = packages.fetch(name, CACHE)
    with Machine(tree, version, (SOURCE, BUILD), script_of([command]), PARAMETERS, name in COUNTS) as machine:
        for line in machine.lines(BOOT_LIMIT_S, KERNEL_LIMIT_S):
            print(line, flush=True)
        print("\n".join(machine.console()))


def main(arguments):
    """Run all that is asked for; return the exit status."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, command = arguments[:split] or list(packages.SUITES), arguments[split + 1:]
    unknown = [name for name in names if name not in packages.SUITES]
    if unknown:
        print("make kernels: no kernel %s: there are %s" % (unknown[0], ", ".join(packages.SUITES)), file=sys.stderr)
        return 2
    os.makedirs(LOGS, exist_ok=True)
    # The machine is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    outcomes = []
    for name in names:
        try:
            if command:
                run_command(name, " ".join(command))
            else:
                outcomes += run_kernel(name)
        except packages.PackagesError as error:
            print("make kernels: %s: %s" % (name, error), file=sys.stderr)
            outcomes.append(Outcome(name, "download", 0, 1, 0, []))
    passed, failed, skipped = (sum(getattr(outcome, what) for outcome in outcomes)
                               for what in ("passed", "failed", "skipped"))
    if outcomes:
        print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
