"""A process to be watched: does what it is told on standard input, a line each, and answers each with a line.

Commands: open PATH; close NUMBER; daemon PATH: opens it in a process of a session of its own that is re-parented,
and answers with its pid; name HEX: the process's name (prctl PR_SET_NAME); limit N (RLIMIT_NOFILE); storm N: opens
and closes as fast as it can; apart N: begins N threads with tables of their own, of which each opens a file; trickle PATH: says "begun", and opens it again and again until the next line; end. Arguments: files to open before anything else.
Inputs: standard input. Outputs: "ok", or what is asked for.
"""

import ctypes
import os
import resource
import select
import signal
import sys
import threading

HELD = []


def open_before(path):
    """Open a file as the program begins."""
    HELD.append(os.open(path, os.O_RDONLY))


def open_later(path):
    """Open a file because of a command."""
    HELD.append(os.open(path, os.O_RDONLY))
    return str(HELD[-1])


def start_daemon(path):
    """Open a file in a process that this one does not know any more; return its pid."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(reader)
            open_in_daemon(path)
            os.write(writer, str(os.getpid()).encode())
            os.close(writer)
            while True:
                signal.pause()
        os._exit(0)
    os.close(writer)
    os.wait()
    pid = os.read(reader, 32).decode()
    os.close(reader)
    return pid


def open_in_daemon(path):
    """Open a file in the daemon."""
    HELD.append(os.open(path, os.O_RDONLY))


def storm(count):
    """Open and close many times."""
    for _ in range(count):
        os.close(os.open("/dev/null", os.O_RDONLY))
    return "ok"


def open_in_trickle(path):
    """Open a file, one of many."""
    HELD.append(os.open(path, os.O_RDONLY))


def trickle(path):
    """Open a file about every millisecond until there is another line; the last few hundred stay open."""
    print("begun", flush=True)
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        open_in_trickle(path)
        if len(HELD) > 500:
            os.close(HELD.pop(0))
    return str(len(HELD))


def open_apart(opened):
    """Open a file in a table of the thread's own, and go on holding it."""
    assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES
    HELD.append(os.open("/dev/null", os.O_RDONLY))
    opened.set()
    threading.Event().wait()


def begin_apart(count):
    """Begin threads that hold tables of their own."""
    for _ in range(count):
        opened = threading.Event()
        threading.Thread(target=open_apart, args=(opened,), daemon=True).start()
        opened.wait()
    return "ok"


def obey(command, argument):
    """Do what a line says; return the answer."""
    if command == "open":
        return open_later(argument)
    if command == "close":
        os.close(int(argument))
        HELD.remove(int(argument))
        return "ok"
    if command == "daemon":
        return start_daemon(argument)
    if command == "name":
        assert ctypes.CDLL(None).prctl(15, bytes.fromhex(argument), 0, 0, 0) == 0
        return "ok"
    if command == "limit":
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(argument), int(argument)))
        return "ok"
    if command == "apart":
        return begin_apart(int(argument))
    if command == "trickle":
        return trickle(argument)
    assert command == "storm", command
    return storm(int(argument))


def main():
    """Open what is given, then obey until there are no more lines."""
    for path in sys.argv[1:]:
        open_before(path)
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "end":
            break
        print(obey(command, argument), flush=True)


main()
