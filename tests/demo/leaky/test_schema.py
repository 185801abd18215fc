"""The tables as they are in the file, not as the models would have them."""

import pytest
from sqlalchemy import inspect

from inventory.database import connect
from inventory.models import Base

TABLES = sorted(Base.metadata.tables)


@pytest.mark.parametrize("table", TABLES)
def test_columns(new_database, table):
    path = new_database("schema.db")
    columns = inspect(connect(path)).get_columns(table)  # left open
    assert [column["name"] for column in columns] == Base.metadata.tables[table].columns.keys()


def test_no_other_tables(disposed_engine):
    assert sorted(inspect(disposed_engine).get_table_names()) == TABLES
