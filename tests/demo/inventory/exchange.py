"""Stock levels on their way in and out: CSV files, lines of a TCP feed, a packed table."""

import csv
import struct

from . import stock

_ROW = struct.Struct("<8si")


def write_csv(engine, path):
    """Write the stock levels to `path` and return how many rows it has."""
    rows = sorted(stock.levels(engine).items())
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return len(rows)


def read_csv(engine, path):
    """Book the counted levels in `path`: the difference to what is on record is received or shipped."""
    with open(path, newline="", encoding="utf-8") as file:
        counted = {sku: int(quantity) for sku, quantity in csv.reader(file)}
    on_record = stock.levels(engine)
    for sku, quantity in counted.items():
        difference = quantity - on_record[sku]
        if difference > 0:
            stock.receive(engine, sku, difference)
        elif difference < 0:
            stock.ship(engine, sku, -difference)


def encode_update(sku, quantity):
    """Return the line that tells the feed's readers of `quantity` of `sku`."""
    return b"%s %+d\n" % (sku.encode("ascii"), quantity)


def parse_update(line):
    """Return (sku, quantity) of a feed's line; raise ValueError when it is none."""
    sku, quantity = line.decode("ascii").split()
    return sku, int(quantity)


def pack(levels):
    """Return `levels`, a dict, as a packed table sorted by article number."""
    return b"".join(_ROW.pack(sku.encode("ascii"), levels[sku]) for sku in sorted(levels))


def look_up(table, sku):
    """Return the level of `sku` in a packed table (bytes, or a mapping of a file), None if absent."""
    wanted = sku.encode("ascii")
    low, high = 0, len(table) // _ROW.size
    while low < high:
        middle = (low + high) // 2
        name, quantity = _ROW.unpack_from(table, middle * _ROW.size)
        name = name.rstrip(b"\0")
        if name == wanted:
            return quantity
        if name < wanted:
            low = middle + 1
        else:
            high = middle
    return None
