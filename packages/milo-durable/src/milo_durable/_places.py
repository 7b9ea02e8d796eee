"""The statements behind concurrency limits: who has a place, who waits for one, since when."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, bindparam, false, func, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from milo_durable._table import SagaTable
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import WORKING, SagaStatus

Known: TypeAlias = Sequence[tuple[str, int]]


class Places:
    """Statements on one saga table; every method runs one, on the connection it is given.

    A saga has a place while it works, until its deadline passes. One with branches has it until
    it works no more: some of its branches may be in good hands.
    """

    def __init__(self, table: SagaTable) -> None:
        self._table = table
        columns = table.table.c
        self._in_branches = columns.branches.is_not(null())
        self._is_due = columns.deadline_at <= bindparam("b_now")
        named = columns.saga_name == bindparam("b_name")
        has_place = columns.status.in_(WORKING) & (~self._is_due | self._in_branches)
        waits = self._waits()
        running = select(columns.id).where(named, has_place)
        self._running = select(func.count()).select_from(running.subquery())
        ahead = select(columns.id).where(
            named, or_(has_place, waits), columns.id != bindparam("b_id")
        )
        enough = ahead.limit(bindparam("b_limit"))
        self._ahead = select(func.count()).select_from(enough.subquery())
        self._names = select(columns.saga_name).where(waits).group_by(columns.saga_name)
        self._names = self._names.order_by(func.min(columns.deadline_at))
        oldest_first = table.rows.where(named, waits).order_by(
            columns.deadline_at, columns.created_at
        )
        self._waiting = oldest_first.limit(bindparam("b_limit")).with_for_update(skip_locked=True)
        self._late = self._being_late()
        key = bindparam("b_key", type_=BigInteger())
        self._advisory = select(func.pg_advisory_xact_lock(key))
        # SQLite has one writer at a time; this makes it the transaction, before it reads.
        self._write = update(table.table).where(false()).values(retry_count=columns.retry_count)

    async def lock(self, connection: AsyncConnection, name: str) -> None:
        """Nobody else gives a place to a saga of this name before the transaction's end."""
        if connection.dialect.name == "postgresql":
            data = f"{self._table.channel}\0{name}".encode()
            key = int.from_bytes(hashlib.sha256(data).digest()[:8], "big", signed=True)
            await connection.execute(self._advisory, {"b_key": key})
        else:
            await connection.execute(self._write)

    async def running(self, connection: AsyncConnection, name: str, now: datetime) -> int:
        """How many sagas of this name have a place."""
        params = {"b_name": name, "b_now": now}
        count: int = (await connection.execute(self._running, params)).scalar_one()
        return count

    async def ahead(
        self,
        connection: AsyncConnection,
        saga: SagaSnapshot,
        known: Known,
        now: datetime,
        most: int,
    ) -> int:
        """How many others of this saga's name have a place or wait for one, ``most`` at most."""
        params = {
            "b_name": saga.saga_name,
            "b_now": now,
            "b_known": list(known),
            "b_id": saga.id,
            "b_limit": most,
        }
        count: int = (await connection.execute(self._ahead, params)).scalar_one()
        return count

    async def names(self, connection: AsyncConnection, known: Known, now: datetime) -> list[str]:
        """The names of which sagas wait for a place, those first that have waited longest."""
        params = {"b_known": list(known), "b_now": now}
        return list((await connection.execute(self._names, params)).scalars())

    async def waiting(
        self, connection: AsyncConnection, name: str, known: Known, now: datetime, limit: int
    ) -> list[SagaSnapshot]:
        """Up to ``limit`` sagas of this name whose turn it is, locked."""
        params = {"b_name": name, "b_known": list(known), "b_now": now, "b_limit": limit}
        return await self._table.read(connection, self._waiting, params)

    async def late(
        self, connection: AsyncConnection, known: Known, now: datetime, limit: int
    ) -> list[SagaSnapshot]:
        """As ``SagaTable.late``, without those that wait for a place."""
        params = {"b_known": list(known), "b_now": now, "b_limit": limit}
        return await self._table.read(connection, self._late, params)

    def _waits(self) -> Any:
        """Whether a saga waits for a place; who had it before is dead."""
        status = self._table.table.c.status
        awaits_nothing = self._table.table.c.awaiting.is_(null())
        return (
            self._is_due
            & self._table.is_known()
            & or_(
                status.in_(WORKING) & ~self._in_branches,
                status == SagaStatus.COMPENSATING_SUSPENDED,
                (status == SagaStatus.SUSPENDED) & (awaits_nothing | self._in_branches),
            )
        )

    def _being_late(self) -> Any:
        """Waits that have come to nothing, and branches of sagas that have their place."""
        columns = self._table.table.c
        awaits = (columns.status == SagaStatus.SUSPENDED) & columns.awaiting.is_not(null())
        works = columns.status == SagaStatus.RUNNING
        late = or_(awaits & ~self._in_branches, works & self._in_branches)
        found = self._table.rows.where(late, self._is_due, self._table.is_known())
        return found.limit(bindparam("b_limit"))
