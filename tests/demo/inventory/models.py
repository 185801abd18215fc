"""The tables: what can be stocked, who supplies it, what was ordered and what moved."""

from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Supplier(Base):
    __tablename__ = "supplier"

    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False, unique=True)


class Item(Base):
    __tablename__ = "item"

    sku = Column(String, primary_key=True)
    name = Column(String, nullable=False)
    price_cents = Column(Integer, nullable=False)
    reorder_at = Column(Integer, nullable=False, default=10)
    supplier_id = Column(Integer, ForeignKey("supplier.id"), nullable=False)


class Movement(Base):
    """Goods that came (a positive quantity) or went (a negative one)."""

    __tablename__ = "movement"

    id = Column(Integer, primary_key=True)
    sku = Column(String, ForeignKey("item.sku"), nullable=False, index=True)
    quantity = Column(Integer, nullable=False)


class PurchaseOrder(Base):
    __tablename__ = "purchase_order"

    id = Column(Integer, primary_key=True)
    sku = Column(String, ForeignKey("item.sku"), nullable=False)
    quantity = Column(Integer, nullable=False)
    state = Column(String, nullable=False, default="open")
