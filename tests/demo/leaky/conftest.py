"""Fixtures of the leaky suite, and the counting of what it leaves open (see truth.py)."""

import truth  # before anything else: it notes what is open already

import pytest

from inventory.database import connect
from inventory.models import Base
from inventory.testing import disposed_engine, logs, new_database, stocked_database  # noqa: F401


@pytest.fixture
def engine(new_database):  # noqa: F811
    """An engine on a stocked database of the test's own."""
    engine = connect(new_database("app.db"))
    Base.metadata.create_all(engine)  # left open
    return engine


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    """Count when the plugins have closed what they had open."""
    truth.write(__file__)
