"""What following costs: one table of ratios, all of one run, in Markdown on stdout.

Each round takes its columns one after the other (nothing, empty tracepoints, none, fp, full, and again), so that a
machine that changes its speed changes it for all. A column is two sessions: one of loops and compiles, one of
the demo suite alone. A loop's cell is the best slice of all rounds: a slice is so short that in some of them
nothing disturbed it. A whole command meets every disturbance there is, so its cell is the median. Run by
`make bench`, as root.

Environment: BENCH_ROUNDS (3), LEFTOPEN_BUILD (../../build), BENCH_JSON: a file for every figure of every round.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import recalled
import scale
import tools

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent.parent
BUILD = Path(os.environ.get("LEFTOPEN_BUILD") or ROOT / "build").resolve()
PYTHON = "/usr/bin/python3"
# Of leftopen with --stacks.
MODES = ("none", "fp", "full")
COLUMNS = ("nothing", "empty tracepoints", *MODES)
COMPILED_FILES = 48
COMPILES = 3  # in each session
# Detaching thirty tracepoints takes two to six seconds; more than this is no longer detaching.
DETACH_LIMIT_S = 60
SESSION_LIMIT_S = 120

# Name, turns of a slice, slices: each slice is some milliseconds, so that the best of them is one that nothing
# disturbed, and all together are long against the 20 ms between two looks into the ring.
LOOPS = (
    ("open_close", 4000, 40),
    ("open_close_deep", 4000, 40),
    ("mmap_munmap", 4000, 40),
    ("getppid", 20000, 80),
    ("spawn_true", 50, 8),
    ("fork_true", 50, 8),
)


@dataclass(frozen=True)
class Row:
    """A line of the table: which figure it shows, its unit, and what is aimed at in the last column."""

    title: str
    key: str
    unit: str
    aim: str = ""


ROWS = (
    Row("open + close of /dev/null (C, thread CPU)", "open_close", "ns", "1.35"),
    Row("the same, 22 frames", "open_close_deep", "ns", "1.35"),
    Row("mmap + munmap of 64 KiB (C, thread CPU)", "mmap_munmap", "ns"),
    Row("getppid, which nobody traces (C, thread CPU)", "getppid", "ns", "1.20"),
    Row("posix_spawn of /bin/true (C, wall)", "spawn_true", "ns"),
    Row("fork + exec of /bin/true (C, wall)", "fork_true", "ns"),
    Row("os.open + os.close, python3, 12 frames (thread CPU)", "python_open_close", "ns", "1.80"),
    Row(f"make -j2 of {COMPILED_FILES} C files (wall)", "compile_wall", "s", "1.03"),
    Row("the same, its CPU", "compile_cpu", "s", "1.03"),
    Row("the same, its CPU and leftopen's", "compile_all_cpu", "s"),
    Row("demo suite (wall)", "demo_wall", "s", "1.05"),
    Row("the same, its CPU", "demo_cpu", "s"),
    Row("the same, its CPU and leftopen's", "demo_all_cpu", "s"),
)


@dataclass
class Session:
    """What one run of `steps` gave: lists of seconds, or of ns for loops; and leftopen's own words about it."""

    figures: dict = field(default_factory=lambda: defaultdict(list))
    armed_s: float = 0.0
    back_s: float = 0.0
    own_words: str = ""
    events: int = 0
    lost: int = 0
    complete: bool = True


def other_sessions():
    """Processes of leftopen that trace, or that still detach what was traced with."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() in ("leftopen", "leftopen-detach", "empty"):
                found.append(int(comm.parent.name))
        except OSError:  # it has just ended
            continue
    return found


def wait_until_alone():
    """An earlier session that detaches makes everything slower for seconds. @return whether all are gone."""
    deadline = time.monotonic() + DETACH_LIMIT_S
    while other_sessions():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def make_sources(folder):
    """A compile of many small files, each with headers, functions and a structure, as real ones have."""
    for number in range(COMPILED_FILES):
        functions = "\n".join(
            f"int work_{number}_{i}(const char *text, struct item *items)\n"
            "{\n\tint sum = 0;\n"
            f"\tfor (int i = 0; i < {10 + i}; i++) {{\n"
            f"\t\tsum += (int)strlen(text) * items[i].number + {i};\n"
            '\t\tif (sum > 1000)\n\t\t\tprintf("%d %s\\n", sum, items[i].name);\n'
            "\t}\n\treturn sum;\n}\n"
            for i in range(12)
        )
        (folder / f"part_{number}.c").write_text(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"
            f"struct item {{\n\tint number;\n\tconst char *name;\n}};\n{functions}"
        )
    objects = " ".join(f"part_{number}.o" for number in range(COMPILED_FILES))
    (folder / "Makefile").write_text(f"all: {objects}\n%.o: %.c\n\t@gcc -O1 -c -o $@ $<\n")


def prefix_of(column, report):
    """The command line that makes a column."""
    if column == "nothing":
        return []
    if column == "empty tracepoints":
        return [BUILD / "bench/empty", BUILD / "leftopen.bpf.o", BUILD / "bench/empty.bpf.o"]
    return [BUILD / "leftopen", "run", f"--stacks={column}", f"--json={report}", "--"]


def parse_output(session, output):
    """The lines that loop, steps and open_close.py print. @return when the first step began, when the last ended"""
    bounds = {}
    for line in output.splitlines():
        words = line.split()
        if not words or words[0] != "bench:":
            continue
        if words[1] in ("start", "end"):
            bounds[words[1]] = int(words[2])
        elif words[1] == "loop":
            session.figures[words[2]].append(float(words[3]))
        elif words[1] == "step":
            label, wall, cpu, parent, status = words[2:7]
            if status != "0":
                sys.exit(f"bench: the step {label} ended with status {status}:\n{output}")
            session.figures[f"{label}_wall"].append(int(wall) / 1e9)
            session.figures[f"{label}_cpu"].append(int(cpu) / 1e9)
            session.figures[f"{label}_all_cpu"].append((int(cpu) + int(parent)) / 1e9)
    return bounds["start"], bounds["end"]


def run_session(column, steps, folder):
    """Runs the steps, each a list that begins with its label, as one command below what the column names."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    joined = [word for step in steps for word in (*step, "::")][:-1]
    command = [str(word) for word in (*prefix_of(column, report), BUILD / "bench/steps", *joined)]
    session = Session()
    before = time.monotonic_ns()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, timeout=SESSION_LIMIT_S, check=False
    )
    after = time.monotonic_ns()
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    start, end = parse_output(session, done.stdout)
    session.armed_s = (start - before) / 1e9
    session.back_s = (after - end) / 1e9
    if column in MODES:
        told = json.loads(report.read_text())["completeness"]
        session.events, session.lost, session.complete = told["events"], told["lost"], told["complete"]
        session.own_words = next(
            line.partition(": ")[2] for line in done.stderr.splitlines() if line.startswith("leftopen itself:")
        )
    return session


def measure(rounds, folder):
    """@return {column: [(session of loops, session of the demo), ...]}, {tool: [ns or why not, ...]}, and whether nobody
    else was tracing"""
    loops = [[f"loop_{name}", BUILD / "bench/loop", name, turns, slices] for name, turns, slices in LOOPS]
    loops.append(["loop_python", PYTHON, BENCH / "open_close.py"])
    loops += [["compile", "make", "-s", "-B", "-j2", "-C", folder / "compile"]] * COMPILES
    demo = [["demo", PYTHON, "-m", "pytest", "-q", "tests/demo/leaky"]]
    sessions = {column: [] for column in COLUMNS}
    others = {tool.name: [] for tool in tools.TOOLS}
    alone = True
    for number in range(rounds):
        for column in COLUMNS:
            print(f"round {number + 1} of {rounds}: {column}", file=sys.stderr, flush=True)
            pair = []
            for steps in (loops, demo):
                alone = wait_until_alone() and alone
                pair.append(run_session(column, steps, folder))
            sessions[column].append(tuple(pair))
        for tool in tools.TOOLS:
            print(f"round {number + 1} of {rounds}: {tool.name}", file=sys.stderr, flush=True)
            alone = wait_until_alone() and alone
            others[tool.name].append(tools.measure(BUILD, tool))
    return sessions, others, alone


def value_of(sessions, row):
    values = [value for pair in sessions for session in pair for value in session.figures[row.key]]
    return min(values) if row.unit == "ns" else statistics.median(values)


def as_text(value, unit):
    return f"{value:,.0f} ns" if unit == "ns" else f"{value:.2f} s"


def print_ratios(sessions, others):
    titles = ["ns: best slice, s: median of the runs", *COLUMNS, "aim", *others]
    print(f"| {' | '.join(titles)} |")
    print("|---" * len(titles) + "|")
    for row in ROWS:
        bare = value_of(sessions["nothing"], row)
        cells = [as_text(bare, row.unit)]
        for column in COLUMNS[1:]:
            value = value_of(sessions[column], row)
            cells.append(f"{value / bare:.2f} x ({as_text(value, row.unit)})")
        cells.append(row.aim + " x" if row.aim else "")
        cells += [tools.cell(figures, bare) if row.key == "open_close" else "" for figures in others.values()]
        print(f"| {row.title} | {' | '.join(cells)} |")
    print()
    tools.print_missing(others)


def print_moments(sessions):
    print(f"| the demo suite, medians | {' | '.join(MODES)} | aim |")
    print("|---" * (len(MODES) + 2) + "|")
    for title, name, aim in (
        ("armed: from leftopen's start to the command's first instruction", "armed_s", "0.50 s; full 0.80 s"),
        ("back at the prompt: from the command's end to leftopen's", "back_s", "0.30 s"),
    ):
        cells = [
            f"{statistics.median(getattr(demo, name) for _, demo in sessions[column]):.2f} s" for column in MODES
        ]
        print(f"| {title} | {' | '.join(cells)} | {aim} |")
    for column in MODES:
        print(f"\nleftopen itself, demo suite, {column}: {sessions[column][-1][1].own_words}")
    for column in MODES:
        every = [session for pair in sessions[column] for session in pair]
        print(
            f"\nevents, {column}, all rounds: {sum(s.events for s in every):,}, lost {sum(s.lost for s in every):,}; "
            f"complete reports: {sum(s.complete for s in every)} of {len(every)}"
        )


def print_machine(rounds, alone):
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"machine: {os.cpu_count()} x {model}, {memory:.1f} GiB  ")
    print(f"kernel: {platform.release()}  ")
    print(f"date: {time.strftime('%Y-%m-%d %H:%M %Z')}, rounds: {rounds}  ")
    if not alone:
        print("**another leftopen was tracing meanwhile: all figures are disturbed**  ")
    print()


def main():
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    if rounds < 1:
        sys.exit("bench: BENCH_ROUNDS must be at least 1")
    if os.geteuid():
        sys.exit("bench: tracing needs root: sudo make bench")
    folder = Path(tempfile.mkdtemp(prefix="leftopen-bench-"))
    try:
        (folder / "compile").mkdir()
        make_sources(folder / "compile")
        sessions, others, alone = measure(rounds, folder)
        print_machine(rounds, alone)
        print_ratios(sessions, others)
        print()
        print_moments(sessions)
        print()
        recalled.print_recalled(BUILD, folder, {
            f"make -j2 of {COMPILED_FILES} C files": (["make", "-s", "-B", "-j2"], folder / "compile"),
            "git log of these sources": (["git", "log", "--oneline", "-p"], ROOT),
            "demo suite": ([PYTHON, "-m", "pytest", "-q", "tests/demo/leaky"], ROOT),
        })
        print()
        scale.print_scale(BUILD, folder, wait_until_alone)
    finally:
        shutil.rmtree(folder)
    if os.environ.get("BENCH_JSON"):
        raw = {column: [[vars(session) for session in pair] for pair in pairs] for column, pairs in sessions.items()}
        Path(os.environ["BENCH_JSON"]).write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    main()
