"""Ends a process in each of the ways that there are, with handles that are closed at different times.

usage: python_marks_case.py FOLDER         runs each scenario as a process; prints its name, pid and status
       python_marks_case.py FOLDER NAME    is that scenario
Runs on CPython 3.6 and later.
"""
import atexit
import os
import signal
import subprocess
import sys
import threading

FOLDER = sys.argv[1]
NAME = sys.argv[2] if len(sys.argv) > 2 else ""


def path(kind):
    return os.path.join(FOLDER, NAME + "." + kind)


def normal_end():
    pass


def sys_exit():
    sys.exit(3)


def sys_exit_with_text():
    sys.exit("what went wrong")


def unhandled_exception():
    raise RuntimeError("unhandled")


def keyboard_interrupt():
    raise KeyboardInterrupt


def os_exit():
    os._exit(4)


def sigkill():
    os.kill(os.getpid(), signal.SIGKILL)


def sigterm():
    os.kill(os.getpid(), signal.SIGTERM)


def abort():
    os.abort()


def thread_joined():
    """The handle is closed by a thread that goes on when the main thread is done: finalization waits for it."""
    file = open(path("thread"), "w")

    def body():
        threading.main_thread().join()
        file.close()
    threading.Thread(target=body).start()


def daemon_thread():
    """Nobody waits for such a thread, and as it is there the main module's objects stay, too."""
    ready = threading.Event()

    def body():
        descriptor = os.open(path("daemon"), os.O_CREAT | os.O_RDWR)
        ready.set()
        threading.Event().wait()
        os.close(descriptor)
    threading.Thread(target=body, daemon=True).start()
    ready.wait()


def opened_by_atexit():
    """What a hook opens is made after Python began to end, and is left open as any other."""
    def hook():
        os.open(path("hook"), os.O_CREAT | os.O_RDWR)
    atexit.register(hook)


def forked_child():
    """The child ends as its parent does, each with a mark of its own."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    os.open(path("child"), os.O_CREAT | os.O_RDWR)
    sys.exit(5)


SCENARIOS = [normal_end, sys_exit, sys_exit_with_text, unhandled_exception, keyboard_interrupt, os_exit, sigkill,
             sigterm, abort, thread_joined, daemon_thread, opened_by_atexit, forked_child]

HELD = None


def run(scenario):
    """Each has a file that finalization closes, one that nobody does, one for atexit, and one that is closed."""
    global HELD
    HELD = open(path("held"), "w")
    os.open(path("never"), os.O_CREAT | os.O_RDWR)
    for_atexit = open(path("atexit"), "w")
    atexit.register(for_atexit.close)
    with open(path("closed"), "w"):
        pass
    scenario()


def drive():
    # A core file of the one that aborts would stay.
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for scenario in SCENARIOS:
        process = subprocess.Popen([sys.executable, sys.argv[0], FOLDER, scenario.__name__],
                                   stderr=subprocess.DEVNULL)
        status = process.wait()
        print(scenario.__name__, process.pid, status, flush=True)


if __name__ == "__main__":
    if NAME:
        run(next(scenario for scenario in SCENARIOS if scenario.__name__ == NAME))
    else:
        drive()
