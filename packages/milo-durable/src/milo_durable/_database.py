"""Connections: to read, for a single statement, for a transaction of several.

Whoever writes says which of ``_crash.COMMITS`` it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker

from milo_durable import _crash
from milo_durable.errors import SagaDefinitionError

_LEVELS: Final = {"postgresql": "READ COMMITTED"}
"""How a transaction sees others, where that is not the strictest way: locks do the rest."""


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

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection on which nothing is written."""
        return self._single.connect()

    @asynccontextmanager
    async def statement(self, commit: str) -> AsyncIterator[AsyncConnection]:
        """A connection for one statement that writes, which is a commit of its own."""
        connection = await self.engine.connect()
        try:  # not of self._single, whose listener costs each statement all events of SQLAlchemy
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            _crash.before(commit)
            yield connection
            _crash.after(commit)
        finally:
            await self._close(connection)

    async def _close(self, connection: AsyncConnection) -> None:
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
