"""Engines: one for each database file, shared by whoever asks for that file.

An engine stays in the registry with the connections of its pool until disconnect() is called, so an
engine that nobody disconnects is never collected. That is what the leaky suite forgets.
"""

import os
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool, QueuePool

from .models import Base, Item, Movement, Supplier

_engines = {}

SUPPLIERS = ("Northwind", "Acme", "Globex", "Initech")
ITEM_COUNT = 120
FIRST_STOCK = 20


def connect(path):
    """Return the engine of the database at `path`. The caller disconnects it."""
    key = os.fspath(path)
    if key not in _engines:
        _engines[key] = create_engine("sqlite:///" + key, poolclass=QueuePool, future=True)
    return _engines[key]


def disconnect(path):
    """Close the connections of the engine of `path` and forget the engine."""
    _engines.pop(os.fspath(path)).dispose()


@contextmanager
def connected(path):
    """The engine of `path` for the length of a block."""
    try:
        yield connect(path)
    finally:
        disconnect(path)


def create(path):
    """Write a database file to `path`, in WAL mode and with a catalogue in stock; nothing stays open.

    Without a pool each connection is closed after use, and sqlite removes the -wal and -shm files
    with the last one: the file that is left can be copied as it is.
    """
    engine = create_engine("sqlite:///" + os.fspath(path), poolclass=NullPool, future=True)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(Supplier.__table__.insert(), [{"name": name} for name in SUPPLIERS])
        connection.execute(Item.__table__.insert(), [
            {"sku": "A%03d" % n, "name": "Article %d" % n, "price_cents": 100 + n,
             "reorder_at": 10, "supplier_id": 1 + n % len(SUPPLIERS)}
            for n in range(ITEM_COUNT)])
        connection.execute(Movement.__table__.insert(), [
            {"sku": "A%03d" % n, "quantity": FIRST_STOCK} for n in range(ITEM_COUNT)])
