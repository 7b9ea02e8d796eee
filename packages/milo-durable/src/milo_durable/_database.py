"""Connections: to read, for a single statement, for a transaction of several.

Whoever writes says which of ``_crash.COMMITS`` it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker
from sqlalchemy.pool import Pool, QueuePool

from milo_durable import _crash
from milo_durable.errors import SagaDefinitionError

_LEVELS: Final = {"postgresql": "READ COMMITTED"}
"""How a transaction sees others, where that is not the strictest way: locks do the rest."""
MOST_STATEMENTS: Final = 16
"""How many are sent on a connection in a row before others get it that wait for one."""
_SHORTEST_WAIT: Final = 1.0
"""A pool that has others wait for fewer seconds is one in which nothing is kept."""


class Database:
    """The database behind the application's ``session_maker``."""

    def __init__(self, session_maker: async_sessionmaker[Any]) -> None:
        engine = session_maker.kw.get("bind")
        if not isinstance(engine, AsyncEngine):
            raise SagaDefinitionError(
                f"session_maker must be bound to an AsyncEngine, not to {engine!r:.200}; write "
                "async_sessionmaker(create_async_engine(url))"
            )
        self.engine = engine
        self.sessions = session_maker
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        level = _LEVELS.get(engine.dialect.name, "SERIALIZABLE")
        self._several = engine.execution_options(isolation_level=level)  # whatever the engine's is
        self._closes_at_once = engine.dialect.driver == "asyncpg"
        self.has_queue = _has_queue(engine.pool)

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection on which nothing is written."""
        return self._single.connect()

    @asynccontextmanager
    async def statement(self, commit: str) -> AsyncIterator[AsyncConnection]:
        """A connection for one statement that writes, which is a commit of its own."""
        async with Kept(self, keeps=False).statement(commit) as connection:
            yield connection

    async def connect(self) -> AsyncConnection:
        """A connection each of whose statements is a commit; to be closed by ``close``."""
        connection = await self.engine.connect()
        try:  # not of self._single, whose listener costs each statement all events of SQLAlchemy
            await connection.execution_options(isolation_level="AUTOCOMMIT")
        except BaseException:
            await self.close(connection)
            raise
        return connection

    async def close(self, connection: AsyncConnection) -> None:
        """Give it back to the pool, also when the caller is cancelled meanwhile.

        asyncpg has nothing to wait for then, so no task has to shield it.
        """
        if self._closes_at_once:
            await connection.close()
        else:
            await connection.__aexit__(None, None, None)

    @asynccontextmanager
    async def transaction(self, commit: str) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements are committed together, or not at all on an error."""
        async with self._several.begin() as connection:
            yield connection
            _crash.before(commit)
        _crash.after(commit)


class Kept:
    """The connection of whoever drives a saga, kept from one single statement to the next.

    Whoever drives it lets it go as soon as a step waits, and before all else that may want a
    connection; leaving the block does so, too. Others wait for one meanwhile, if the pool has no
    more: as long as a saga takes whose steps wait for nothing, and never for more than
    ``MOST_STATEMENTS``. Then those come first that wait already.

    It is kept only if it ``keeps``, and only by a pool that has others wait: one that refuses
    them at once, or gives all the same connection, has none to spare.
    """

    __slots__ = ("_connection", "_database", "_keeps", "_sent")

    def __init__(self, database: Database, *, keeps: bool) -> None:
        self._database = database
        self._keeps = keeps and database.has_queue
        self._connection: AsyncConnection | None = None
        self._sent = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._connection is not None:
            await self.let_go()
            await asyncio.sleep(0)  # else the caller's next saga takes it before who was waiting

    @asynccontextmanager
    async def statement(self, commit: str) -> AsyncIterator[AsyncConnection]:
        """As ``Database.statement``; after an error the connection is not kept."""
        connection, self._connection = self._connection, None
        if connection is None:
            connection, self._sent = await self._database.connect(), 0
        is_kept = False
        try:
            _crash.before(commit)
            yield connection
            _crash.after(commit)
            self._sent += 1
            is_kept = self._keeps and self._sent < MOST_STATEMENTS
        finally:
            if is_kept:
                self._connection = connection
            else:
                await self._database.close(connection)

    async def let_go(self) -> None:
        """Give the connection back to the pool, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._database.close(connection)


def _has_queue(pool: Pool) -> bool:
    """Whether whoever finds no connection in the pool waits until another gives one back."""
    return isinstance(pool, QueuePool) and (pool.timeout() or 0) >= _SHORTEST_WAIT
