"""Stock levels written to CSV files and read back."""

import pytest

from inventory import exchange, stock
from inventory.database import FIRST_STOCK, ITEM_COUNT


def test_every_article_is_written(engine, tmp_path):
    path = tmp_path / "levels.csv"
    assert exchange.write_csv(engine, path) == ITEM_COUNT
    assert path.read_text(encoding="utf-8").splitlines()[0] == "A000,%d" % FIRST_STOCK


def test_rows_are_sorted(engine, tmp_path):
    path = tmp_path / "levels.csv"
    exchange.write_csv(engine, path)
    rows = path.read_text(encoding="utf-8").splitlines()
    assert rows == sorted(rows)


def test_updates(engine, tmp_path):
    path = tmp_path / "levels.csv"
    stock.ship(engine, "A007", 5)
    exchange.write_csv(engine, path)
    assert "A007,%d" % (FIRST_STOCK - 5) in path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("counted", [0, FIRST_STOCK, FIRST_STOCK + 12])
def test_count_is_booked(engine, tmp_path, counted):
    path = tmp_path / "counted.csv"
    path.write_text("A003,%d\n" % counted, encoding="utf-8")
    exchange.read_csv(engine, path)
    assert stock.level(engine, "A003") == counted


def test_unknown_article_is_refused(disposed_engine, tmp_path):
    path = tmp_path / "counted.csv"
    path.write_text("Z999,1\n", encoding="utf-8")
    with pytest.raises(KeyError):
        exchange.read_csv(disposed_engine, path)
