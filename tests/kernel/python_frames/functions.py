# -*- coding: utf-8 -*-
"""Call points in functions, recursion, exception handlers and statements of several lines."""
import contextlib
import os

from python_frames.callbacks import managed
from python_frames.classes import Base
from python_frames.points import CREATE, construct, construct_around, keep, opened, point

RECURSION = 60


# Functions


@construct
def plain_function(want):
    keep(os.open(want.path, CREATE))


@construct
def builtin_open(want):
    keep(open(want.path, "w"))


@construct
def nested_functions(want):
    def middle():
        def inner():
            def innermost():
                keep(os.open(want.path, CREATE))
            innermost()
        inner()
    middle()


@construct
def closures_and_defaults(want, flags=CREATE, *rest, **named):
    def inner(a, b=2, *c, d=4, **e):
        return keep(os.open(want.path, flags))
    inner(1, *[2, 3], d=5, **{"f": 6})


@construct
def lambdas(want):
    (lambda: (lambda path: keep(os.open(path, CREATE)))(want.path))()


LAMBDA = construct(lambda want: keep(open(want.path, "w")))


# Recursion


def recurse(depth, want):
    if depth:
        return recurse(depth - 1, want)
    return keep(os.open(want.path, CREATE))


class Recursive(object):
    def even(self, depth, want):
        if depth:
            return self.odd(
                depth - 1,
                want)
        return keep(os.open(want.path, CREATE))

    def odd(self, depth, want):
        return self.even(depth - 1, want)


def recurse_by_generators(depth, want):
    if depth:
        yield from recurse_by_generators(depth - 1, want)
    else:
        yield keep(os.open(want.path, CREATE))


@construct
def recursion(want):
    recurse(RECURSION, want)


@construct
def mutual_recursion(want):
    Recursive().even(RECURSION, want)


@construct
def recursion_of_generators(want):
    list(recurse_by_generators(RECURSION, want))


@construct_around
def often_run():
    """Run until the interpreter has specialised each of its instructions (3.11 and later)."""
    def opens(want):
        return keep(os.open(want.path, CREATE))

    def calls(want):
        for number in range(3):
            if number == 2:
                return [opens(want) for _ in (1,)]
            together(number)
    point("often_run", calls, times_refused=100)


# Exceptions


@construct
def in_handler(want):
    try:
        raise ValueError
    except ValueError:
        keep(os.open(want.path, CREATE))


@construct
def in_handler_of_handler(want):
    try:
        try:
            raise ValueError
        except ValueError as error:
            raise KeyError from error
    except (KeyError, TypeError) as error:
        if error.__cause__:
            keep(os.open(want.path, CREATE))


@construct
def in_finally(want):
    try:
        len("the body")
    finally:
        keep(os.open(want.path, CREATE))


@construct
def in_finally_of_return(want):
    try:
        return 1
    finally:
        keep(os.open(want.path, CREATE))


@construct
def in_finally_of_exception(want):
    with contextlib.suppress(ValueError):
        try:
            raise ValueError
        finally:
            keep(os.open(want.path, CREATE))


@construct
def in_else(want):
    try:
        len("the body")
    except ValueError:
        pass
    else:
        keep(os.open(want.path, CREATE))


@construct
def in_loop_else(want):
    for number in range(3):
        if number == 4:
            break
    else:
        while number:
            number -= 1
            if number == 1:
                continue
            keep(os.open(want.path, CREATE))


# Statements of several lines


def together(*arguments, **named):
    return arguments


@construct
def statement_of_many_lines(want):
    return together(
        1,
        together(
            2,
            keep(
                os.open(
                    want.path,
                    CREATE,
                )
            ),
            3,
        ),
        four=4,
        five=together(
            5
        ),
    )


@construct
def call_of_many_lines(want):
    together(1,
             2,
             first=opened(
                 want),
             second=opened(want
                           ))


@construct
def method_chain_of_many_lines(want):
    return (
        Base
        .Inner
        .Innermost()
        .method(
            want
        )
    )


@construct
def backslashes(want):
    handle = \
        keep(
            os.open(want.path, CREATE)) \
        + \
        0
    return handle


@construct
def conditional_expression(want):
    return (
        keep(os.open(want.path, CREATE))
        if want
        else
        None
    ) or (
        1
    )


@construct
def boolean_of_many_lines(want):
    return (
        want
        and
        keep(
            os.open(
                want.path, CREATE)) >= 0
        and not
        None
    )


@construct
def literal_of_many_lines(want):
    return {
        "one": 1,
        "two": [
            2,
            (lambda:
             keep(os.open(want.path,
                          CREATE)))(),
        ],
        "three":
            3,
    }


@construct
def with_of_many_lines(want):
    with managed(
        want
    ) as first, \
            managed(
                want):
        return first


@construct
def text_of_many_lines(want):
    return f"""
    {keep(os.open(want.path, CREATE))}
    {1}
    """


@construct
def asserted(want):
    assert (
        keep(os.open(want.path, CREATE))
    ), "of several lines, " \
       "too"


@construct
def several_statements_a_line(want):
    number = 1; keep(os.open(want.path, CREATE)); number += 1


@construct
def deleted_and_assigned(want):
    values = {}
    values[
        "key"
    ], other = (
        keep(os.open(want.path, CREATE)),
        2,
    )
    return other
