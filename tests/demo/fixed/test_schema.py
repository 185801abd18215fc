"""The tables as they are in the file, read through an engine that is disposed of."""

import pytest
from sqlalchemy import inspect

from inventory.database import connected
from inventory.models import Base
from leaky.test_schema import TABLES, test_no_other_tables  # noqa: F401


@pytest.mark.parametrize("table", TABLES)
def test_columns(new_database, table):
    with connected(new_database("schema.db")) as engine:
        columns = inspect(engine).get_columns(table)
    assert [column["name"] for column in columns] == Base.metadata.tables[table].columns.keys()
