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


def deeper(depth):
    """The module and its generator are the first two frames, measure_slice is the last."""
    return deeper(depth - 1) if depth > 1 else measure_slice()


if __name__ == "__main__":
    best = min(deeper(DEPTH - 2) for _ in range(SLICES))
    print(f"bench: loop python_open_close {best:.1f}", flush=True)
