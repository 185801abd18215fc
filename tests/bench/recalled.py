"""Which part of all stacks is told by a memo and not unwound: of a compile, git, and a test suite."""

import json
import subprocess
from pathlib import Path

LIMIT_S = 120


def recalled_of(leftopen, folder, command, cwd):
    """Return what leftopen counted of the stacks of a command: (recalled, unwound)."""
    report = Path(folder) / "recalled.json"
    subprocess.run(
        [leftopen, "run", "--stacks=full", f"--json={report}", "--", *command], stdin=subprocess.DEVNULL,
        capture_output=True, cwd=cwd, timeout=LIMIT_S, check=False,
    )
    stacks = json.loads(report.read_text())["self"]["stacks"]
    return stacks["recalled"], stacks["unwound"]


def print_recalled(build, folder, cases):
    """@param cases {title: (command, folder that it runs in)}"""
    print("| stacks, with --stacks=full | recalled | unwound | part |")
    print("|---|---|---|---|")
    for title, (command, cwd) in cases.items():
        recalled, unwound = recalled_of(build / "leftopen", folder, command, cwd)
        every = recalled + unwound
        print(f"| {title} | {recalled:,} | {unwound:,} | {recalled / every if every else 0:.1%} |", flush=True)
