"""Packed tables of stock levels, unmapped when they have been read."""

import mmap

import pytest

from inventory.exchange import look_up, pack
from leaky.test_snapshot import ARTICLES, LEVELS, test_absent_article  # noqa: F401


@pytest.mark.parametrize("sku", ARTICLES)
def test_mapped_file(tmp_path, sku):
    path = tmp_path / "levels.bin"
    path.write_bytes(pack(LEVELS))
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert look_up(view, sku) == LEVELS[sku]


@pytest.mark.parametrize("sku", ARTICLES)
def test_shared_memory(sku):
    table = pack(LEVELS)
    with mmap.mmap(-1, len(table)) as board:
        board[:] = table
        assert look_up(board, sku) == LEVELS[sku]
