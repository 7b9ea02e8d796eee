"""The statements of a saga without a saga: recorded once, and sent again by shorter ways."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

Saga = Callable[[], Awaitable[object]]


@dataclass
class Recording:
    """What one saga had its database do.

    Attributes:
        given: each statement with its parameters, as SQLAlchemy got them.
        sent: the same as the driver got them.
    """

    given: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    sent: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    @classmethod
    async def of(cls, saga: Saga, engine: AsyncEngine) -> Recording:
        """The statements of ``saga``, which it makes on ``engine``."""
        recording = cls()

        def giving(_: object, statement: Any, many: object, params: Any, *rest: object) -> None:
            recording.given.append((statement, dict(params)))

        def sending(_: object, cursor: object, sql: str, params: Any, *rest: object) -> None:
            recording.sent.append((sql, tuple(params)))

        event.listen(engine.sync_engine, "before_execute", giving)
        event.listen(engine.sync_engine, "before_cursor_execute", sending)
        await saga()
        event.remove(engine.sync_engine, "before_execute", giving)
        event.remove(engine.sync_engine, "before_cursor_execute", sending)
        return recording

    def renewed(self) -> Mapping[Any, Any]:
        """What stands for the ids, tokens and names of the recorded saga in one more."""
        inserted = self.given[0][1]
        new: dict[Any, Any] = {inserted["aggregation_id"]: str(uuid.uuid4())}
        for _, params in self.given:
            for value in params.values():
                if isinstance(value, uuid.UUID):
                    new[value] = fresh = uuid.uuid4()
                    new[value.hex] = fresh.hex
        return new


def again(values: Iterable[Any], new: Mapping[Any, Any]) -> list[Any]:
    return [new.get(each, each) if isinstance(each, (uuid.UUID, str)) else each for each in values]


@asynccontextmanager
async def core_floor(engine: AsyncEngine, recording: Recording) -> AsyncIterator[Saga]:
    """By SQLAlchemy Core: each a commit on a connection of its own.

    So a saga has to whose steps wait for something. One whose steps do not, as the one that is
    measured, keeps its connection from commit to commit.
    """
    single = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def saga() -> None:
        new = recording.renewed()
        for statement, params in recording.given:
            fresh = dict(zip(params, again(params.values(), new), strict=True))
            async with single.connect() as connection:
                await connection.execute(statement, fresh)

    yield saga


@asynccontextmanager
async def asyncpg_floor(url: str, recording: Recording, size: int) -> AsyncIterator[Saga]:
    """By the driver alone, on one connection for all of them."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with asyncpg.create_pool(plain, min_size=size, max_size=size) as pool:

        async def saga() -> None:
            new = recording.renewed()
            async with pool.acquire() as connection:
                for sql, params in recording.sent:
                    await connection.execute(sql, *again(params, new))

        yield saga


@asynccontextmanager
async def aiosqlite_floor(file: Path, recording: Recording) -> AsyncIterator[Saga]:
    """By the driver alone, on one connection."""
    async with aiosqlite.connect(file, isolation_level=None) as connection:

        async def saga() -> None:
            new = recording.renewed()
            for sql, params in recording.sent:
                async with connection.execute(sql, again(params, new)):
                    pass

        yield saga


async def commits(engine: AsyncEngine, saga: Saga, count: int) -> float:
    """How many transactions PostgreSQL has counted for each of ``count`` sagas.

    A server process tells what it has counted now and then, or when it is asked to; so the pool
    of ``engine`` holds one connection.
    """

    async def so_far() -> int:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("SELECT pg_stat_force_next_flush()"))
            found = await connection.execute(
                text(
                    "SELECT xact_commit + xact_rollback FROM pg_stat_database"
                    " WHERE datname = current_database()"
                )
            )
            return int(found.scalar_one())

    await so_far()
    unused = await so_far()
    before = await so_far()
    for _ in range(count):
        await saga()
    return (await so_far() - before - (before - unused)) / count
