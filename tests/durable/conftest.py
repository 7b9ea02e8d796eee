"""What the tests of durable sagas share: a database each, SQLite and PostgreSQL in turn."""

import sys
from pathlib import Path

import pytest

# importlib mode leaves the path alone; the modules beside this file are wanted by name.
sys.path.insert(0, str(Path(__file__).parent))

from databases import postgres_schema, postgres_url, sqlite_in  # found by the path above


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a PostgreSQL server."""
    with postgres_url() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """An empty database: a file, then a schema of its own on a PostgreSQL server."""
    if request.param == "sqlite":
        yield sqlite_in(tmp_path)
    else:
        with postgres_schema(request.getfixturevalue("postgres_server")) as database:
            yield database
