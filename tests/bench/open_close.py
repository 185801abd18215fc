"""os.open and os.close twelve frames deep: prints what one pair takes, best of some slices of thread CPU time."""

import os
import time

DEPTH = 12
TURNS = 3000
SLICES = 8


def measure_slice():
    start = time.thread_time_ns()
    for _ in range(TURNS):
        os.close(os.open("/dev/null", os.O_RDONLY))
    return (time.thread_time_ns() - start) / TURNS


def calling(called):
    """Return a function of its own code that calls another one: a program's frames are rarely of one function."""
    functions = {"called": called}
    exec("\n\ndef caller():\n    result = called()\n    return result\n", functions)
    return functions["caller"]


if __name__ == "__main__":
    # The module and its generator are the first two frames, measure_slice is the last.
    innermost = measure_slice
    for _ in range(DEPTH - 3):
        innermost = calling(innermost)
    best = min(innermost() for _ in range(SLICES))
    print(f"bench: loop python_open_close {best:.1f}", flush=True)
