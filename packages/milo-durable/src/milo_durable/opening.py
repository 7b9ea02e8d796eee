"""Tables, engine and orchestrator in one line, for those who have no models of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from milo_durable.models import InboxMessageMixin, OutboxMessageMixin, SagaStateMixin
from milo_durable.orchestrator import SagaOrchestrator


class SagaBase(DeclarativeBase):
    """The base of the ready-made models; its ``metadata`` is what migrations are made from."""


class Saga(SagaBase, SagaStateMixin):
    """The ready-made saga table."""

    __tablename__ = "milo_saga"


class InboxMessage(SagaBase, InboxMessageMixin):
    """The ready-made inbox table."""

    __tablename__ = "milo_saga_inbox"


class OutboxMessage(SagaBase, OutboxMessageMixin):
    """The ready-made outbox table."""

    __tablename__ = "milo_saga_outbox"


@asynccontextmanager
async def open_orchestrator(url: str, **options: Any) -> AsyncIterator[SagaOrchestrator[Saga]]:
    """An orchestrator on the database at ``url``, whose tables are made if they are not there.

    ``url`` is SQLAlchemy's: ``sqlite+aiosqlite:///sagas.db`` or
    ``postgresql+asyncpg://user@host/database``. ``options`` are those of ``SagaOrchestrator``.
    Connections are closed at the end of the block.

        async with open_orchestrator("sqlite+aiosqlite:///sagas.db") as orchestrator:
            orchestrator.register("order", definition)
    """
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        prepare_sqlite(engine)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SagaBase.metadata.create_all)
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield SagaOrchestrator[Saga](Saga, sessions, InboxMessage, OutboxMessage, **options)
    finally:
        await engine.dispose()


def prepare_sqlite(engine: AsyncEngine) -> None:
    """Have an SQLite database written by several processes: a log beside it, and patience."""

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.close()
