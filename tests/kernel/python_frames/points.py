# -*- coding: utf-8 -*-
"""What a call point is, and what is noted of it.

A call point asks for something, and runs at least twice. First what it asks for is one that the kernel or the
library refuses, and the exception's traceback is what CPython itself says of that very call, library frames
included. Then, by the same line, it is one that is granted: a handle, which stays open until the process ends.
"""
import functools
import itertools
import json
import mmap
import os
import socket
import sys
import threading
import traceback

try:
    import sqlite3
except ImportError:
    sqlite3 = None

CREATE = os.O_CREAT | os.O_RDWR
# Larger than an allocator's arena, a thread's stack or a library: no other mapping has such a length.
MAP_BYTES = 1 << 26
PAGE_BYTES = 4096

POINTS = []
NOTES = {}
KEPT = []
COUNT = itertools.count(1)
CONSTRUCTS = []
THREAD = threading.local()
REFUSALS = (OSError,) + ((sqlite3.OperationalError,) if sqlite3 else ())


def folder():
    return sys.argv[1]


class Want(object):
    """What a call point asks for, request by request: the first so many are granted, the next one is refused."""

    def __init__(self, granted):
        self.granted = granted
        self.requests = 0

    def grants(self):
        self.requests += 1
        return self.requests <= self.granted

    @property
    def folder(self):
        return folder() if self.grants() else os.path.join(folder(), "no such folder")

    @property
    def path(self):
        return os.path.join(self.folder, "%d-%d" % (os.getpid(), next(COUNT)))

    @property
    def length(self):
        return MAP_BYTES + next(COUNT) * PAGE_BYTES if self.grants() else 1 << 60

    @property
    def family(self):
        return socket.AF_UNIX if self.grants() else 9999

    @property
    def fd(self):
        return 0 if self.grants() else -1

    @property
    def flags(self):
        return os.O_CLOEXEC if self.grants() else 1 << 30


def described(frame, line):
    code = frame.f_code
    return [code.co_filename, line, getattr(code, "co_qualname", code.co_name)]


def frames_of(error):
    """Innermost first: what the exception passed, then who called where it was caught."""
    passed = list(traceback.walk_tb(error.__traceback__))
    callers = traceback.walk_stack(passed[0][0].f_back)
    return [described(*each) for each in itertools.chain(reversed(passed), callers)]


def note(handle, **description):
    KEPT.append(handle)
    THREAD.made.append(dict(description, request=THREAD.want.requests))
    return handle


def keep(handle):
    """Called by a call point with what its last request made; the handle stays open."""
    if isinstance(handle, mmap.mmap):
        return note(handle, length=len(handle))
    fd = handle if isinstance(handle, int) else handle.fileno()
    return note(handle, fd=fd, target=os.readlink("/proc/self/fd/%d" % fd))


def keep_database(path, connection):
    """A database's descriptor is its library's own: found by the file's name."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + name) == path:
                note(connection, fd=int(name), target=path)
        except OSError:
            pass
    return connection


def point(name, call, times_refused=1):
    """Runs a call point until it is refused nothing; notes what it made, request by request, and where.

    @param times_refused how often the first request is refused, which is to give the same frames each time
    """
    THREAD.made = made = []
    refused = []
    for attempt in itertools.count(1):
        granted = max(attempt - times_refused, 0)
        THREAD.want = want = Want(granted)
        try:
            call(want)
            break
        except REFUSALS as error:
            frames = frames_of(error)
            assert want.requests == granted + 1, (name, error, frames)
            if granted < len(refused):
                assert refused[granted] == frames, (name, frames)
            else:
                refused.append(frames)
    assert made and want.requests == len(refused), (name, "made nothing, or made it without being refused first")
    for handle in made:
        POINTS.append(dict(handle, name=name, pid=os.getpid(), frames=refused[handle["request"] - 1]))


def construct(function):
    """Registers a construct, a call point around which point() stands; it stays as it is."""
    CONSTRUCTS.append((function.__name__, functools.partial(point, function.__name__, function)))
    return function


def construct_around(function):
    """Registers a construct that calls point() itself: an exception would not come out of it."""
    CONSTRUCTS.append((function.__name__, function))
    return function


def opened(want):
    keep(os.open(want.path, CREATE))


def opened_inside(name):
    """For what an exception cannot leave: the traceback goes no further than point()."""
    point(name, opened)


def everything():
    THREAD.is_main = threading.current_thread() is threading.main_thread()
    for _, run in CONSTRUCTS:
        run()


def forget():
    """A forked child notes its own."""
    del POINTS[:]
    NOTES.clear()


def write(mark):
    """Says where the process is to begin its shutdown, and what it made."""
    with open(os.path.join(folder(), "points-%d.json" % os.getpid()), "w", encoding="utf-8") as file:
        json.dump({"mark": mark, "points": POINTS, "notes": NOTES}, file)
