"""The articles themselves; these tests leave nothing open."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from inventory.database import ITEM_COUNT, SUPPLIERS
from inventory.models import Item, Supplier


def test_all_articles_are_there(disposed_engine):
    with disposed_engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Item)).scalar() == ITEM_COUNT


@pytest.mark.parametrize("supplier", SUPPLIERS)
def test_suppliers_share_the_catalogue(disposed_engine, supplier):
    statement = (select(func.count(Item.sku)).join(Supplier, Supplier.id == Item.supplier_id)
                 .where(Supplier.name == supplier))
    with Session(disposed_engine) as session:
        assert session.execute(statement).scalar() == ITEM_COUNT // len(SUPPLIERS)


def test_price_can_change(disposed_engine):
    with Session(disposed_engine) as session:
        session.get(Item, "A010").price_cents = 999
        session.commit()
    with Session(disposed_engine) as session:
        assert session.get(Item, "A010").price_cents == 999


def test_numbers_are_unique(disposed_engine):
    with Session(disposed_engine) as session:
        session.add(Item(sku="A010", name="Twin", price_cents=1, supplier_id=1))
        with pytest.raises(IntegrityError):
            session.commit()


def test_two_connections_at_once(disposed_engine):
    statement = select(Item.price_cents).where(Item.sku == "A001")
    with disposed_engine.connect() as first, disposed_engine.connect() as second:
        assert first.execute(statement).scalar() == second.execute(statement).scalar()
