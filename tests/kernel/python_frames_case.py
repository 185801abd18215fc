# -*- coding: utf-8 -*-
"""Makes handles at call points of every kind, and writes down what traceback says of each.

usage: python_frames_case.py FOLDER [MODE]
Each process writes FOLDER/points-PID.json (see python_frames/points.py). Runs on CPython 3.6 and later.
"""
import functools
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import traceback

# Compiled files would stay in the source tree, and belong to root.
sys.dont_write_bytecode = True

from python_frames import callbacks, classes, functions, generators, makers, sources  # noqa: E402
from python_frames.points import CONSTRUCTS, everything, forget, point, write  # noqa: E402

ROOMS = (callbacks, classes, functions, generators, makers, sources)
BEYOND_THE_LIMIT = 400


def in_thread(*before):
    """Runs all constructs in a thread. @return the thread, and what it failed of"""
    failures = []

    def body():
        try:
            for each in before:
                each()
            everything()
        except BaseException:
            failures.append(traceback.format_exc())
            raise
    thread = threading.Thread(target=body)
    thread.start()
    return thread, failures


def finish(thread, failures):
    thread.join()
    assert not failures, failures[0]


def fork_child(work, mark):
    """@return the child's id in the parent; the child goes from here only by SystemExit"""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        forget()
        work()
        write(mark)
        status = 0
    except Exception:
        traceback.print_exc()
    if mark == "exit_group":
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def reap(pid):
    status = os.waitpid(pid, 0)[1]
    assert status == 0, "a child ended with status %#x" % status


def child_of_child():
    everything()
    finish(*in_thread())
    reap(fork_child(everything, "finalize"))


def fork_in_thread():
    failures = []

    def body():
        try:
            # Out of a thread, SystemExit ends the thread only.
            reap(fork_child(everything, "exit_group"))
        except Exception:
            failures.append(traceback.format_exc())
    thread = threading.Thread(target=body)
    thread.start()
    finish(thread, failures)


def multiprocessing_child():
    forget()
    everything()
    write("exit_group")


def traced(frame, event, argument):
    return traced


def profiled(frame, event, argument):
    return None


def monitor():
    monitoring = sys.monitoring
    monitoring.use_tool_id(monitoring.COVERAGE_ID, "frames")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, lambda code, line: None)
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)


def run_all():
    everything()
    for each in [in_thread() for _ in range(4)]:
        finish(*each)
    # As a debugger, a profiler and a coverage tool have it.
    finish(*in_thread(lambda: sys.settrace(traced)))
    finish(*in_thread(lambda: sys.setprofile(profiled)))
    reap(fork_child(child_of_child, "finalize"))
    fork_in_thread()
    process = multiprocessing.get_context("fork").Process(target=multiprocessing_child)
    process.start()
    process.join()
    assert process.exitcode == 0
    subprocess.check_call([sys.executable, os.path.abspath(__file__), sys.argv[1], "again"])
    if hasattr(sys, "monitoring"):
        monitor()
    everything()


def run_limits():
    """Stacks around the limit of what is kept of one, and beyond it: how deep it is, the caller knows. Code whose
    line table is larger than what is copied of one.
    """
    for depth in range(230, 256):
        point("recursion of %d" % depth, functools.partial(functions.recurse, depth))
    point("recursion beyond", functools.partial(functions.recurse, BEYOND_THE_LIMIT))
    point("generators beyond", lambda want: list(functions.recurse_by_generators(BEYOND_THE_LIMIT // 2, want)))
    sources.run_large()


def main():
    mode = sys.argv[2] if len(sys.argv) > 2 else "all"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if mode != "again":
        sources.write_modules()
    sys.path[:0] = sources.module_paths()
    {"all": run_all, "again": everything, "once": everything, "limits": run_limits}[mode]()
    write("finalize")


if __name__ == "__main__":
    assert CONSTRUCTS and ROOMS
    main()
