"""Figures that management asks for, from an engine that is disposed of after each."""

import pytest
from sqlalchemy.orm import Session

from inventory.database import connected
from leaky.test_reports import NAMES, QUESTIONS


def ask(path, statement):
    """Return the one figure that `statement` asks of the database at `path`."""
    with connected(path) as engine, Session(engine) as session:
        return session.execute(statement).scalar()


@pytest.mark.parametrize("statement,figure", QUESTIONS, ids=NAMES)
def test_figure(new_database, statement, figure):
    assert ask(new_database("report.db"), statement) == figure
