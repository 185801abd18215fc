"""Ordering what runs out."""

import pytest

from inventory import stock
from inventory.database import FIRST_STOCK


def test_nothing_to_order(engine):
    assert stock.reorder(engine) == []


@pytest.mark.parametrize("left", [10, 1, 0])
def test_low_stock_is_ordered(engine, left):
    stock.ship(engine, "A020", FIRST_STOCK - left)
    assert stock.reorder(engine) == ["A020"]


def test_ordered_once(engine):
    stock.ship(engine, "A021", FIRST_STOCK)
    stock.reorder(engine)
    assert stock.reorder(engine) == []


def test_delivery_is_booked(engine):
    stock.ship(engine, "A022", FIRST_STOCK)
    stock.reorder(engine, 75)
    assert stock.deliver(engine, "A022") == 75


def test_ordered_again_after_delivery(disposed_engine):
    stock.ship(disposed_engine, "A023", FIRST_STOCK)
    stock.reorder(disposed_engine, 5)
    stock.deliver(disposed_engine, "A023")
    assert stock.reorder(disposed_engine) == ["A023"]
