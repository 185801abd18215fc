"""What is in stock: goods coming, going, counted and ordered again. Each call is one transaction."""

import logging

from sqlalchemy import func, select

from .models import Item, Movement, PurchaseOrder

log = logging.getLogger(__name__)


class OutOfStock(Exception):
    """More was asked for than is there."""


class UnknownItem(Exception):
    """No such article."""


def _level(connection, sku):
    if connection.execute(select(Item.sku).where(Item.sku == sku)).scalar() is None:
        raise UnknownItem(sku)
    total = select(func.coalesce(func.sum(Movement.quantity), 0)).where(Movement.sku == sku)
    return connection.execute(total).scalar()


def level(engine, sku):
    """Return how many of `sku` are in stock."""
    with engine.connect() as connection:
        return _level(connection, sku)


def levels(engine):
    """Return {sku: how many are in stock} for every article that ever moved."""
    statement = select(Movement.sku, func.sum(Movement.quantity)).group_by(Movement.sku)
    with engine.connect() as connection:
        return {sku: quantity for sku, quantity in connection.execute(statement)}


def receive(engine, sku, quantity):
    """Book `quantity` of `sku` in and return the new level."""
    with engine.begin() as connection:
        new_level = _level(connection, sku) + quantity
        connection.execute(Movement.__table__.insert().values(sku=sku, quantity=quantity))
    log.info("received %d of %s", quantity, sku)
    return new_level


def ship(engine, sku, quantity):
    """Book `quantity` of `sku` out and return the new level; raise OutOfStock when there is less."""
    with engine.begin() as connection:
        new_level = _level(connection, sku) - quantity
        if new_level < 0:
            raise OutOfStock(sku)
        connection.execute(Movement.__table__.insert().values(sku=sku, quantity=-quantity))
    log.info("shipped %d of %s", quantity, sku)
    return new_level


def reorder(engine, quantity=50):
    """Order `quantity` of each article that is at its limit and not on order; return their numbers."""
    in_stock = func.coalesce(func.sum(Movement.quantity), 0)
    ordered = select(PurchaseOrder.sku).where(PurchaseOrder.state == "open")
    low = (select(Item.sku).join(Movement, Movement.sku == Item.sku).group_by(Item.sku)
           .having(in_stock <= Item.reorder_at).where(Item.sku.not_in(ordered)).order_by(Item.sku))
    with engine.begin() as connection:
        skus = list(connection.execute(low).scalars())
        for sku in skus:
            connection.execute(PurchaseOrder.__table__.insert().values(
                sku=sku, quantity=quantity, state="open"))
    return skus


def deliver(engine, sku):
    """Book the open order of `sku` in and close it; return the new level."""
    table = PurchaseOrder.__table__
    with engine.begin() as connection:
        order = connection.execute(
            select(table.c.id, table.c.quantity).where(table.c.sku == sku, table.c.state == "open")
        ).one()
        connection.execute(table.update().where(table.c.id == order.id).values(state="delivered"))
        connection.execute(Movement.__table__.insert().values(sku=sku, quantity=order.quantity))
        return _level(connection, sku)
