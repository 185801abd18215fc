"""Native stacks of a report against gdb's, frame by frame, as (file, offset): gdb follows the program while leftopen
follows both.

Inputs: a command. Outputs: what was compared; an AssertionError where a frame differs.
"""

import collections
import dataclasses
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


@dataclasses.dataclass
class Comparison:
    """What came of comparing a command's stacks."""
    stacks: list = dataclasses.field(default_factory=list)  # leftopen's, of which gdb knows all frames
    frames: int = 0  # gdb's, of these stacks
    equal: int = 0  # of these, how many leftopen has too, from the innermost on
    whys: collections.Counter = dataclasses.field(default_factory=collections.Counter)  # why leftopen's end, all of them
    wrong: list = dataclasses.field(default_factory=list)  # [(stack's why, gdb's frames, leftopen's)] where those differ

    def unmarked(self):
        """Return what is wrong of stacks that say they are complete."""
        return [stack for stack in self.wrong if not stack[0]]

    def add(self, call, stack):
        """Compare a stack; of one that is not complete only the frames that there are can be wrong."""
        found, expected = frames_of(stack), call["frames"]
        self.whys[stack["why"]] += 1
        if not call["all"]:
            found = found[:len(expected)]
        pairs = enumerate(zip(found, expected))
        equal = next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(found), len(expected)))
        if equal < len(found) or (stack["complete"] and equal < len(expected)):
            self.wrong.append((stack["why"], expected, found))
        if call["all"]:
            self.stacks.append(stack)
            self.frames += len(expected)
            self.equal += equal


def compare(folder, command, cwd=None, environment=()):
    """Run a command under gdb and leftopen; return the Comparison.

    environment: ["NAME=VALUE"] of the command alone.
    """
    path = folder / "stacks.json"
    settings = [part for setting in environment for part in ("-ex", "set environment " + setting)]
    report = leftopen.run(
        program("gdb"), "-batch", "-nx", *settings, "-x", os.path.join(HERE, "gdb_stacks.py"), "--args",
        program(command[0]), *command[1:], options=["--stacks=native", "--samples", "0"], env={"GDB_STACKS": str(path)},
        cwd=cwd or folder).report
    with open(path, encoding="utf-8") as file:
        calls = [json.loads(line) for line in file]
    comparison = Comparison()
    for call, stack in compared(report, calls):
        comparison.add(call, stack)
    return comparison


def check(folder, command, least, cwd=None, environment=(), complete=1.0):
    """Compare at least so many stacks of a command: no frame is wrong.

    complete: how many of the stacks have to be, of 1. Return the stacks.
    """
    comparison = compare(folder, command, cwd, environment)
    assert not comparison.wrong, (comparison.wrong[0], comparison.whys)
    assert len(comparison.stacks) >= least, comparison.whys
    assert comparison.whys[""] >= complete * sum(comparison.whys.values()), comparison.whys
    return comparison.stacks


def functions(stack):
    """Return the functions of a stack's frames, innermost first."""
    return [frame["function"] for frame in stack["frames"]]
