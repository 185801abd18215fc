# -*- coding: utf-8 -*-
"""Call points below decorators, and below C code that calls back."""
import collections
import contextlib
import ctypes
import functools
import io
import json
import os
import re

from python_frames.points import CREATE, construct, construct_around, keep, opened, opened_inside, sqlite3


# Decorators


def passing_on(function):
    def wrapper(*arguments, **named):
        return function(*arguments, **named)
    return wrapper


def passing_on_with(label):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*arguments, **named):
            return function(
                *arguments,
                **named
            )
        return wrapper
    return decorate


class PassingOn(object):
    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)


@passing_on
def decorated_function(want):
    keep(os.open(want.path, CREATE))


@passing_on_with("outer")
@passing_on
@PassingOn
@passing_on_with(
    "inner")
def decorated_four_times(want):
    keep(os.open(want.path, CREATE))


@construct
def decorated(want):
    decorated_function(want)
    decorated_function(want)


@construct
def decorated_further(want):
    decorated_four_times(want)


@construct
def cached(want):
    @functools.lru_cache(maxsize=4)
    def remembered(number):
        return keep(os.open(want.path, CREATE))
    remembered(1)
    remembered(1)


@functools.singledispatch
def dispatched_on(what, want):
    raise TypeError


@dispatched_on.register(int)
def dispatched_on_int(what, want):
    keep(os.open(want.path, CREATE))


@construct
def dispatched(want):
    dispatched_on(1, want)


@contextlib.contextmanager
def managed(want):
    keep(os.open(want.path, CREATE))
    yield


@contextlib.contextmanager
def managed_after(want):
    try:
        yield
    finally:
        keep(os.open(want.path, CREATE))


@construct
def context_manager_entered(want):
    with managed(want):
        pass


@construct
def context_manager_left(want):
    with managed_after(want), managed_after_nothing():
        pass


@contextlib.contextmanager
def managed_after_nothing():
    yield


@construct
def exit_stack(want):
    with contextlib.ExitStack() as stack:
        stack.enter_context(managed(want))


# Callbacks through C


@construct
def sorted_by_key(want):
    sorted([1], key=lambda number: keep(os.open(want.path, CREATE)))


@construct
def sorted_by_comparison(want):
    def compare(left, right):
        return keep(os.open(want.path, CREATE))
    [2, 1].sort(key=functools.cmp_to_key(compare))


@construct
def mapped(want):
    list(map(lambda number: keep(os.open(want.path, CREATE)), [1]))


@construct
def filtered(want):
    for _ in filter(lambda number: keep(os.open(want.path, CREATE)), [1]):
        pass


@construct
def reduced(want):
    functools.reduce(lambda sum_, number: keep(os.open(want.path, CREATE)), [1, 2])


@construct
def partially_applied(want):
    functools.partial(functools.partial(opened), want)()


@construct
def largest_by_key(want):
    max([1, 2], key=lambda number: keep(os.open(want.path, CREATE)))


@construct
def substituted(want):
    re.sub("a", lambda match: str(keep(os.open(want.path, CREATE))), "bab")


@construct
def called_until(want):
    list(iter(lambda: keep(os.open(want.path, CREATE)) and None, None))


@construct
def encoded_by_default(want):
    json.dumps([object()], default=lambda what: keep(os.open(want.path, CREATE)))


@construct
def any_of_them(want):
    any(keep(os.open(want.path, CREATE)) < 0 for _ in range(1))


@construct
def defaulted(want):
    collections.defaultdict(lambda: keep(os.open(want.path, CREATE)))[1]


@construct
def opener_called(want):
    keep(open("any name", "w", opener=lambda name, flags: os.open(want.path, CREATE)))


class OwnFileIO(io.FileIO):
    def __init__(self, want):
        super().__init__(want.path, "w")


@construct
def io_subclass(want):
    keep(OwnFileIO(want))


@construct
def recursion_through_c(want):
    def deeper(depth):
        if depth:
            return list(map(deeper, [depth - 1]))
        return keep(os.open(want.path, CREATE))
    deeper(20)


@construct_around
def called_by_ctypes():
    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
    def callback(number):
        opened_inside("called_by_ctypes")
        return number
    callback(1)


@construct_around
def called_by_sql():
    if sqlite3 is None:
        return
    connection = sqlite3.connect(":memory:")
    connection.create_function("opens", 0, lambda: opened_inside("called_by_sql"))
    connection.execute(
        "select opens()"
    ).fetchall()
    connection.close()
