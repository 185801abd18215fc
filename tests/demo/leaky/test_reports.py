"""Figures that management asks for, each with a single question to the database."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from inventory.database import FIRST_STOCK, ITEM_COUNT, SUPPLIERS, connect
from inventory.models import Item, Movement, PurchaseOrder, Supplier

QUESTIONS = [
    (select(func.count(Item.sku)), ITEM_COUNT),
    (select(func.count(Supplier.id)), len(SUPPLIERS)),
    (select(func.sum(Movement.quantity)), ITEM_COUNT * FIRST_STOCK),
    (select(func.max(Item.price_cents)), 100 + ITEM_COUNT - 1),
    (select(func.count(PurchaseOrder.id)), 0),
]
NAMES = ["articles", "suppliers", "in-stock", "dearest", "orders"]


def ask(path, statement):
    """Return the one figure that `statement` asks of the database at `path`."""
    return Session(connect(path)).execute(statement).scalar()  # left open


@pytest.mark.parametrize("statement,figure", QUESTIONS, ids=NAMES)
def test_figure(new_database, statement, figure):
    assert ask(new_database("report.db"), statement) == figure
