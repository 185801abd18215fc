# -*- coding: utf-8 -*-
"""Call points in methods: those that are called by name, and those that the interpreter calls."""
import contextlib
import gc
import os
import threading
import weakref

from python_frames.points import CREATE, construct, construct_around, keep, opened_inside, point


class Base(object):
    def method(self, want):
        keep(os.open(want.path, CREATE))

    @classmethod
    def of_class(cls, want):
        keep(os.open(want.path, CREATE))

    @staticmethod
    def static(want):
        keep(open(want.path, "w"))

    class Inner(object):
        class Innermost(object):
            def method(self, want):
                keep(os.open(want.path, CREATE))


class Derived(Base):
    def method(self, want):
        super().method(want)

    @classmethod
    def of_class(cls, want):
        super().of_class(want)


class Special(object):
    """Each of these is called by the interpreter and not by a call that the source shows."""

    def __init__(self, want):
        self.want = want

    @property
    def value(self):
        return keep(os.open(self.want.path, CREATE))

    @value.setter
    def value(self, new):
        keep(os.open(self.want.path, CREATE))

    @value.deleter
    def value(self):
        keep(os.open(self.want.path, CREATE))

    def __call__(self, *arguments):
        return keep(os.open(self.want.path, CREATE))

    def __enter__(self):
        return keep(os.open(self.want.path, CREATE))

    def __exit__(self, *exception):
        return False

    def __getattr__(self, name):
        return keep(os.open(self.want.path, CREATE))

    def __getitem__(self, index):
        return keep(os.open(self.want.path, CREATE))

    def __setitem__(self, index, value):
        keep(os.open(self.want.path, CREATE))

    def __contains__(self, what):
        return keep(os.open(self.want.path, CREATE)) > 0

    def __iter__(self):
        return self

    def __next__(self):
        if keep(os.open(self.want.path, CREATE)):
            raise StopIteration

    def __len__(self):
        return keep(os.open(self.want.path, CREATE))

    def __bool__(self):
        return keep(os.open(self.want.path, CREATE)) > 0

    def __repr__(self):
        return str(keep(os.open(self.want.path, CREATE)))

    def __format__(self, how):
        return str(keep(os.open(self.want.path, CREATE)))

    def __eq__(self, other):
        return keep(os.open(self.want.path, CREATE)) > 0

    def __hash__(self):
        return keep(os.open(self.want.path, CREATE))

    def __add__(self, other):
        return keep(os.open(self.want.path, CREATE))

    def __lt__(self, other):
        return keep(os.open(self.want.path, CREATE)) > 0

    def __index__(self):
        return keep(os.open(self.want.path, CREATE))


class LeavingOpens(object):
    def __init__(self, want):
        self.want = want

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        keep(os.open(self.want.path, CREATE))


construct(Base().method)
construct(Base.of_class)
construct(Base.static)


@construct
def inherited_method(want):
    Derived().method(want)


@construct
def inherited_classmethod(want):
    Derived.of_class(want)


@construct
def nested_class(want):
    Base.Inner.Innermost().method(want)


@construct
def bound_method_kept(want):
    bound = Derived().method
    bound(want)


@construct
def property_read(want):
    Special(want).value


@construct
def property_written(want):
    Special(want).value = 1


@construct
def property_deleted(want):
    del Special(want).value


@construct
def object_called(want):
    Special(want)(1, 2)


@construct
def entered(want):
    with Special(want):
        pass


@construct
def left(want):
    with LeavingOpens(want):
        len("the body")


@construct
def left_by_return(want):
    with contextlib.suppress(KeyError), LeavingOpens(want) as manager:
        return manager


@construct
def left_by_exception(want):
    with contextlib.suppress(KeyError):
        with LeavingOpens(want):
            raise KeyError


@construct
def attribute_missing(want):
    Special(want).there_is_none


@construct
def attribute_missing_by_builtin(want):
    getattr(Special(want), "there_is_none")


@construct
def subscript(want):
    Special(want)[1]


@construct
def subscript_written(want):
    Special(want)[1] = 2


@construct
def contained(want):
    1 in Special(want)


@construct
def iterated(want):
    for _ in Special(want):
        pass


@construct
def unpacked(want):
    list_of_one = [*Special(want)]
    return list_of_one


@construct
def truth(want):
    if Special(want):
        pass


@construct
def representation(want):
    "%r" % Special(want)


@construct
def formatted(want):
    return f"{Special(want)} and more"


@construct
def compared_in_c(want):
    [object(), object()].index(Special(want))


@construct
def hashed_in_c(want):
    {Special(want): 1}


@construct
def operator(want):
    Special(want) + 1


@construct
def sorted_in_c(want):
    sorted([Special(want), Special(want)])


@construct
def index_in_c(want):
    "%x" % Special(want).__index__()


@construct
def class_body(want):
    class Body(object):
        handle = keep(os.open(want.path, CREATE))

        class Further(object):
            handle = [keep(os.open(path, CREATE)) for path in [want.path]]


@construct
def subclass_hook(want):
    class Hooked(object):
        def __init_subclass__(cls, **named):
            keep(os.open(want.path, CREATE))

    class Subclass(Hooked):
        pass


@construct
def made_new(want):
    class New(object):
        def __new__(cls):
            keep(os.open(want.path, CREATE))
            return super().__new__(cls)
    New()


class Meta(type):
    def __call__(cls, *arguments):
        return super(Meta, cls).__call__(*arguments)


class MetaPrepares(type):
    want = None

    @classmethod
    def __prepare__(metacls, name, bases, want):
        keep(os.open(want.path, CREATE))
        return {}

    def __new__(metacls, name, bases, body, want):
        keep(os.open(want.path, CREATE))
        return super().__new__(metacls, name, bases, body)

    def __init__(cls, name, bases, body, want):
        super().__init__(name, bases, body)

    def __instancecheck__(cls, instance):
        keep(os.open(instance.path, CREATE))
        return True


class OfMeta(metaclass=Meta):
    def __init__(self, want):
        keep(os.open(want.path, CREATE))


@construct
def metaclass_call(want):
    OfMeta(want)


@construct
def metaclass_new(want):
    def without_prepare(name, bases, body, want):
        return MetaPrepares.__new__(MetaPrepares, name, bases, body, want=want)

    class Made(object, metaclass=without_prepare, want=want):
        pass


@construct_around
def metaclass_prepare():
    def prepared(want):
        MetaPrepares.__prepare__("Prepared", (), want=want)
    point("metaclass_prepare", prepared)


@construct
def metaclass_instance_check(want):
    isinstance(want, MetaPrepares.__new__(MetaPrepares, "Checked", (), {}, want=want))


class Descriptor(object):
    def __get__(self, instance, owner):
        return keep(os.open(instance.want.path, CREATE))


class Described(object):
    attribute = Descriptor()

    def __init__(self, want):
        self.want = want

    def __getattribute__(self, name):
        return object.__getattribute__(self, name)


@construct
def descriptor_read(want):
    Described(want).attribute


class Missing(dict):
    def __missing__(self, want):
        return keep(os.open(want.path, CREATE))


@construct
def missing_key(want):
    Missing()[want]


class Finalized(object):
    def __init__(self, name):
        self.name = name
        self.itself = None

    def __del__(self):
        opened_inside(self.name)


@construct_around
def deleted():
    finalized = Finalized("deleted")
    del finalized


@construct_around
def deleted_with_its_frame():
    def holds():
        finalized = Finalized("deleted_with_its_frame")
        return finalized.name
    holds()


@construct_around
def collected():
    # Threads would collect each other's: the point would belong to another thread's list.
    if threading.active_count() > 1:
        return
    gc.collect()
    cycle = Finalized("collected")
    cycle.itself = cycle
    del cycle
    gc.collect()


@construct_around
def weakly_referenced():
    subject = Special(None)
    reference = weakref.ref(subject, lambda gone: opened_inside("weakly_referenced"))
    del subject
    return reference
