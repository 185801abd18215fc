"""Native stacks of a report against gdb's, frame by frame, as (file, offset): gdb follows the program while leftopen
follows both.

Inputs: a command. Outputs: what was compared; an AssertionError where a frame differs.
"""

import collections
import json
import os

import leftopen
from ordinary import program

HERE = os.path.dirname(os.path.abspath(__file__))


def frames_of(stack):
    """Return [[file, offset]] of the frames that there are in memory."""
    return [[frame["module"], frame["offset"]] for frame in stack["frames"]
            if not frame["inlined"] and frame["language"] in ("native", "jit")]


def compared(report, calls):
    """Yield (gdb's line, the stack) of each handle that is there in the end."""
    last = {call["result"]: call for call in calls}
    ours = {process["pid"] for process in report["processes"] if process["comm"] == "gdb"}
    for group in report["groups"]:
        if group["pid"] in ours or group["stack"] not in report["stacks"]:
            continue
        for sample in group["samples"]:
            result = sample["fd"] if group["kind"] == "fd" else int(sample["addr"], 16)
            if result in last:
                yield last[result], report["stacks"][group["stack"]]


def check(folder, command, least, cwd=None, environment=(), complete=1.0):
    """Compare at least so many stacks of a command: of one that is not complete, all frames that there are.

    complete: how many of the stacks have to be, of 1. environment: ["NAME=VALUE"] of the command alone.
    Return the stacks.
    """
    path = folder / "stacks.json"
    settings = [part for setting in environment for part in ("-ex", "set environment " + setting)]
    report = leftopen.run(
        program("gdb"), "-batch", "-nx", *settings, "-x", os.path.join(HERE, "gdb_stacks.py"), "--args",
        program(command[0]), *command[1:], options=["--stacks=native", "--samples", "0"], env={"GDB_STACKS": str(path)},
        cwd=cwd or folder).report
    with open(path, encoding="utf-8") as file:
        calls = [json.loads(line) for line in file]
    pairs = list(compared(report, calls))
    assert len(pairs) >= least
    whys = collections.Counter(stack["why"] for _, stack in pairs)
    for call, stack in pairs:
        found = frames_of(stack)
        expected = call["frames"] if stack["complete"] else call["frames"][:len(found)]
        assert (found if call["all"] else found[:len(expected)]) == expected, (stack["why"], whys)
    assert sum(call["all"] for call, _ in pairs) >= least
    assert whys[""] >= complete * len(pairs), whys
    return [stack for _, stack in pairs]


def functions(stack):
    """Return the functions of a stack's frames, innermost first."""
    return [frame["function"] for frame in stack["frames"]]
