"""Packed tables of stock levels, mapped from a file or shared with other processes."""

import mmap

import pytest

from inventory.exchange import look_up, pack

LEVELS = {"A%03d" % n: 3 * n for n in range(2000)}
ARTICLES = ["A000", "A001", "A999", "A1000", "A1999"]

_views = []


@pytest.mark.parametrize("sku", ARTICLES)
def test_mapped_file(tmp_path, sku):
    path = tmp_path / "levels.bin"
    path.write_bytes(pack(LEVELS))
    with open(path, "rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # left open
    _views.append(view)
    assert look_up(view, sku) == LEVELS[sku]


@pytest.mark.parametrize("sku", ARTICLES)
def test_shared_memory(sku):
    table = pack(LEVELS)
    board = mmap.mmap(-1, len(table))  # left open
    _views.append(board)
    board[:] = table
    assert look_up(board, sku) == LEVELS[sku]


@pytest.mark.parametrize("sku", ["A2000", "B000", ""])
def test_absent_article(sku):
    assert look_up(pack(LEVELS), sku) is None
