"""Fixtures that both suites share. What is opened here is closed again, except the log."""

import shutil

import pytest

from .database import connected, create
from .log import log_to


@pytest.fixture(scope="session", autouse=True)
def logs(tmp_path_factory):
    """The log of the whole run."""
    log_to(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="session")
def stocked_database(tmp_path_factory):
    """A database file to copy, which is faster than filling one for each test."""
    path = tmp_path_factory.mktemp("stocked") / "stocked.db"
    create(path)
    return path


@pytest.fixture
def new_database(stocked_database, tmp_path):
    """A function that puts a database file of the name it is given into the test's own folder."""
    def copy(name):
        return shutil.copy(stocked_database, tmp_path / name)
    return copy


@pytest.fixture
def disposed_engine(new_database):
    """An engine that is disposed of after the test."""
    with connected(new_database("disposed.db")) as engine:
        yield engine
