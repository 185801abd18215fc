"""Goods coming and going."""

import pytest

from inventory import stock
from inventory.database import FIRST_STOCK


def test_receive(engine):
    assert stock.receive(engine, "A001", 8) == FIRST_STOCK + 8


def test_ship(engine):
    assert stock.ship(engine, "A001", 8) == FIRST_STOCK - 8


def test_refused_shipment_changes_nothing(engine):
    with pytest.raises(stock.OutOfStock):
        stock.ship(engine, "A001", FIRST_STOCK + 1)
    assert stock.level(engine, "A001") == FIRST_STOCK


@pytest.mark.parametrize("call", [stock.receive, stock.ship])
def test_unknown_article(disposed_engine, call):
    with pytest.raises(stock.UnknownItem):
        call(disposed_engine, "Z999", 1)


def test_busy_day(engine):
    for _ in range(20):
        stock.receive(engine, "A002", 3)
        stock.ship(engine, "A002", 2)
    assert stock.level(engine, "A002") == FIRST_STOCK + 20


def test_levels(engine):
    stock.ship(engine, "A002", FIRST_STOCK)
    levels = stock.levels(engine)
    assert levels["A002"] == 0 and levels["A003"] == FIRST_STOCK
