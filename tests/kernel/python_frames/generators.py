# -*- coding: utf-8 -*-
"""Call points in comprehensions, generators and coroutines."""
import asyncio
import os
import threading
from concurrent import futures

from python_frames.classes import Base
from python_frames.points import CREATE, construct, construct_around, keep, opened_inside


# Comprehensions and generators


@construct
def list_comprehension(want):
    [keep(os.open(want.path, CREATE)) for _ in range(2)]


@construct
def set_comprehension(want):
    {keep(os.open(want.path, CREATE)) for _ in range(2)}


@construct
def dict_comprehension(want):
    {number: keep(os.open(want.path, CREATE)) for number in range(2)}


@construct
def comprehension_in_comprehension(want):
    [
        [
            keep(
                os.open(want.path,
                        CREATE)
            )
            for _ in range(1)
        ]
        for number in range(3)
        if number == 1
    ]


@construct
def comprehension_calls(want):
    [Base().method(w) for w in [want]]


@construct
def generator_expression(want):
    list(keep(os.open(want.path, CREATE)) for _ in range(2))


@construct
def generator_expression_summed(want):
    sum(keep(os.open(path, CREATE)) for path in (want.path for _ in range(2)))


def generator(want, count):
    for number in range(count):
        keep(os.open(want.path, CREATE))
        yield number


def generator_of_generator(want):
    for number in (each for each in generator(want, 2)):
        yield number


def delegating(want):
    yield from generator_of_generator(want)


def delegating_further(want):
    result = yield from delegating(want)
    return result


@construct
def generator_looped(want):
    for _ in generator(want, 2):
        pass


@construct
def generator_delegated(want):
    list(delegating_further(want))


@construct
def generator_next(want):
    running = delegating(want)
    next(running)
    next(running)


@construct
def generator_sent_to(want):
    def echo():
        received = yield
        while received:
            keep(os.open(want.path, CREATE))
            received = yield received
    running = echo()
    next(running)
    running.send(True)


@construct
def generator_thrown_into(want):
    def catches():
        try:
            yield 1
        except KeyError:
            keep(os.open(want.path, CREATE))
            yield 2
    running = catches()
    next(running)
    running.throw(KeyError("thrown"))


@construct
def generator_closed(want):
    def closes():
        try:
            yield 1
        finally:
            keep(os.open(want.path, CREATE))
    running = closes()
    next(running)
    running.close()


@construct
def generator_unpacked(want):
    first, second = generator(want, 2)
    return first, second


# Coroutines


async def coroutine_inner(want):
    keep(os.open(want.path, CREATE))


async def coroutine(want):
    for _ in range(1):
        await coroutine_inner(
            want)


async def async_generator(want):
    keep(os.open(want.path, CREATE))
    yield 1
    await coroutine(want)
    yield 2


class AsyncManager(object):
    def __init__(self, want):
        self.want = want

    async def __aenter__(self):
        await coroutine(self.want)

    async def __aexit__(self, *exception):
        return False


def drive(running):
    """As an event loop does, but in this thread's own stack: exceptions come out where they arise."""
    try:
        running.send(None)
    except StopIteration:
        pass


@construct
def coroutine_driven(want):
    drive(coroutine(want))


@construct
def async_generator_driven(want):
    async def consume():
        async for _ in async_generator(want):
            break
    drive(consume())


@construct
def async_comprehension_driven(want):
    async def consume():
        return [number async for number in async_generator(want) if number]
    drive(consume())


@construct
def async_with_driven(want):
    async def enter():
        async with AsyncManager(want):
            pass
    drive(enter())


@construct_around
def event_loop():
    async def innermost():
        await asyncio.sleep(0)
        opened_inside("event_loop")

    async def outer():
        await asyncio.gather(innermost(), innermost())
        await asyncio.get_event_loop().run_in_executor(None, opened_inside, "event_loop_executor")
    loop = asyncio.new_event_loop()
    loop.call_soon(opened_inside, "event_loop_callback")
    loop.run_until_complete(outer())
    loop.close()


@construct_around
def thread_pool():
    with futures.ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(opened_inside, ["thread_pool", "thread_pool"]))


class OwnThread(threading.Thread):
    def run(self):
        opened_inside("thread_subclass")


@construct_around
def thread_subclass():
    thread = OwnThread()
    thread.start()
    thread.join()
