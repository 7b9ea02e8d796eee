"""What the tests of the whole share: shops with durable sagas, on SQLite and PostgreSQL."""

import sys
from pathlib import Path

import pytest

# importlib mode leaves the path alone; modules beside this file and of other tests are wanted.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "suite"))
sys.path.insert(0, str(Path(__file__).parents[1] / "durable"))

from databases import postgres_schema, postgres_url, sqlite_in  # found by the path above
from shops import Shop


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a PostgreSQL server."""
    with postgres_url() as url:
        yield url


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A shop on an SQLite file."""
    return Shop(tmp_path, sqlite_in(tmp_path), monkeypatch)


@pytest.fixture(params=["sqlite", "postgres"])
def shop_anywhere(request, tmp_path, monkeypatch):
    """A shop on an SQLite file, then on a PostgreSQL server."""
    if request.param == "sqlite":
        yield Shop(tmp_path, sqlite_in(tmp_path), monkeypatch)
        return
    with postgres_schema(request.getfixturevalue("postgres_server")) as database:
        yield Shop(tmp_path, database, monkeypatch)
