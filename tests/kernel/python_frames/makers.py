# -*- coding: utf-8 -*-
"""Call points within the standard library and below it: every maker of handles that CPython has."""
import codecs
import gzip
import mmap
import os
import pathlib
import select
import socket
import tarfile
import tempfile

from python_frames.points import construct, construct_around, keep, keep_database, point, sqlite3


@construct
def socket_made(want):
    keep(socket.socket(want.family))


@construct
def socket_pair_made(want):
    for each in socket.socketpair(want.family):
        keep(each)


@construct
def mapping_made(want):
    keep(mmap.mmap(-1, want.length))


@construct
def mapping_made_private(want):
    keep(
        mmap.mmap(
            -1, want.length,
            flags=mmap.MAP_PRIVATE,
        ))


@construct
def pipe_made(want):
    for each in os.pipe2(want.flags):
        keep(each)


@construct
def descriptor_duplicated(want):
    keep(os.dup(want.fd))


@construct
def epoll_made(want):
    keep(select.epoll(-1, 0 if want.grants() else 1))


@construct_around
def database_opened():
    if sqlite3 is None:
        return

    def connects(want):
        path = want.path
        keep_database(path, sqlite3.connect(path))
    point("database_opened", connects)


@construct_around
def database_opened_by_subclass():
    if sqlite3 is None:
        return

    class Connection(sqlite3.Connection):
        def __init__(self, path, *arguments, **named):
            super().__init__(
                path, *arguments,
                **named)

    def connects(want):
        path = want.path
        keep_database(path, sqlite3.connect(path, factory=Connection))
    point("database_opened_by_subclass", connects)


@construct
def named_temporary_file(want):
    keep(tempfile.NamedTemporaryFile(dir=want.folder, delete=False))


@construct
def archive(want):
    keep(tarfile.open(want.path, "w").fileobj)


@construct
def path_opened(want):
    keep(pathlib.Path(want.path).open("w"))


@construct
def compressed_file(want):
    keep(gzip.open(want.path, "wb"))


@construct
def codec_file(want):
    keep(codecs.open(want.path, "w", "utf-8"))
