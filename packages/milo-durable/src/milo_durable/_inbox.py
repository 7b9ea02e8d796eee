"""The inbox: events that were stored once, and are delivered when their saga waits for them.

An event and what it does to its saga are one transaction, so an event is never half delivered
and none is claimed by a worker that has died.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, bindparam, insert, inspect, null, or_, select, update
from sqlalchemy.exc import IntegrityError

from milo_durable._deciding.branch_calls import accept
from milo_durable._deciding.outside import judge_kind
from milo_durable._purge import Purge
from milo_durable.definition import check_span, check_text
from milo_durable.engine import SagaEngine, Views, read_id
from milo_durable.errors import InvalidEventError, SagaDefinitionError
from milo_durable.events import NotifyEvent, NotifyResult
from milo_durable.snapshot import Branch
from milo_durable.status import SagaStatus

_log = logging.getLogger(__name__)

PAGE: Final = 100
"""How many events are read at once."""


class Inbox:
    """One inbox table, and the engine whose sagas its events are for.

    A built-in one was not asked for, so it may be missing in the database: then nothing is in
    it, and what is to be stored is refused.
    """

    def __init__(self, engine: SagaEngine, table: Table, *, is_built_in: bool = False) -> None:
        self._engine = engine
        self._is_there = not is_built_in
        self._table = table
        sagas = engine.table.table
        self._insert = insert(table).returning(engine.table.wakes())
        self._due = (
            select(
                *(table.c.id, table.c.event_id, table.c.event),
                *(sagas.c.id.label("saga"), sagas.c.saga_name, sagas.c.definition_version),
                *(sagas.c.awaiting, sagas.c.deadline_at, sagas.c.branches),
            )
            .join(
                sagas,
                or_(
                    table.c.saga_id == sagas.c.id,
                    table.c.saga_id.is_(None) & (table.c.aggregation_id == sagas.c.aggregation_id),
                ),
            )
            .where(
                table.c.id > bindparam("b_after"),
                table.c.applied_at.is_(None),
                sagas.c.status.in_([str(SagaStatus.SUSPENDED), str(SagaStatus.RUNNING)]),
                sagas.c.awaiting.is_not(null()),
            )
            .order_by(table.c.id)
            .limit(bindparam("b_limit"))
        )
        self._purge = Purge(engine.database, "inbox.purge", table, table.c.applied_at)
        self._apply = (
            update(table)
            .where(table.c.id == bindparam("b_id"), table.c.applied_at.is_(None))
            .values(applied_at=bindparam("b_now"))
        )

    async def store(self, event: NotifyEvent, saga_id: Any, aggregation_id: str | None) -> bool:
        """See ``SagaOrchestrator.ingest_event``."""
        if event.event_id is None:
            raise InvalidEventError(
                f"an event for the inbox needs an event_id, by which it is known again; given "
                f"was {dict(event.payload)!r:.200}"
            )
        check_text("event_id", event.event_id)
        if (saga_id is None) == (aggregation_id is None):
            raise InvalidEventError("say who the event is for: saga_id= or aggregation_id=")
        if aggregation_id is not None:
            check_text("aggregation_id", aggregation_id)
        if not await self._exists():
            raise SagaDefinitionError(
                f"the inbox of these sagas, table {self._table.name!r}, is not in the database; "
                "make it with metadata.create_all or a migration, or give inbox_model_class="
            )
        row = {
            "event_id": event.event_id,
            "saga_id": None if saga_id is None else read_id(saga_id),
            "aggregation_id": aggregation_id,
            "event": {
                "event_type": event.event_type,
                "correlation_id": event.correlation_id,
                "payload": event.payload,
            },
            "received_at": self._engine.clock(),
            "applied_at": None,
        }
        try:
            async with self._engine.database.statement("inbox.store") as connection:
                await connection.execute(self._insert, row)
        except IntegrityError:  # the event id is unique
            return False
        return True

    async def purge(self, older_than: timedelta) -> int:
        """See ``SagaOrchestrator.purge_inbox``."""
        check_span("older_than", older_than)
        return await self._purge.run(older_than, self._engine.clock) if await self._exists() else 0

    async def deliver(self, limit: int) -> int:
        """See ``SagaOrchestrator.run_inbox_due``."""
        delivered = [views async for views in self.take(limit)]
        await self._engine.drive_all(view for views in delivered for view in views)
        return len(delivered)

    async def take(self, limit: int) -> AsyncGenerator[Views, None]:
        """Give up to ``limit`` events to their sagas; for each, what is to be driven, if it is."""
        if not await self._exists():
            return
        woken: set[UUID] = set()
        async for row in self._waiting():
            if len(woken) >= limit:
                return
            if row.saga not in woken and self._may_take(row):
                views = await self._deliver_safely(row)
                if views is not None:
                    woken.add(row.saga)
                    yield views

    async def _exists(self) -> bool:
        """Whether the table is there; asked until it is."""
        if not self._is_there:
            name, schema = self._table.name, self._table.schema
            async with self._engine.database.reading() as connection:
                self._is_there = await connection.run_sync(
                    lambda plain: inspect(plain).has_table(name, schema=schema)
                )
        return self._is_there

    async def _waiting(self) -> AsyncIterator[Any]:
        """Each event whose saga waits, with what that waits for, oldest first.

        Events that are not what their saga waits for stand in nobody's way.
        """
        after: int | None = 0
        while after is not None:
            async with self._engine.database.reading() as connection:
                found = await connection.execute(self._due, {"b_after": after, "b_limit": PAGE})
                page = found.all()
            for row in page:
                yield row
            after = page[-1].id if len(page) == PAGE else None

    def _may_take(self, row: Any) -> bool:
        """Whether it is worth a transaction to find out if the saga takes the event."""
        engine = self._engine
        is_known = (row.saga_name, row.definition_version) in engine.definitions.known()
        now, event = engine.clock(), _event_of(row)
        if row.branches is None:
            return is_known and bool(judge_kind(row.awaiting, row.deadline_at, event, now))
        branches = [Branch.from_json(each) for each in row.branches.values()]
        return is_known and any(
            judge_kind(each.awaiting, each.deadline_at, event, now)
            for each in branches
            if each.awaiting is not None
        )

    async def _deliver_safely(self, row: Any) -> Views | None:
        try:
            return await self._deliver(row)
        except Exception:  # the database's, or of a saga that is broken; others get theirs
            _log.exception("event %s could not be delivered; it keeps waiting", row.event_id)
            return None

    async def _deliver(self, row: Any) -> Views | None:
        """Give one event to its saga; what is to be driven, if that was accepted."""
        engine = self._engine
        event, moment = _event_of(row), engine.moment()
        async with engine.database.transaction("inbox.apply") as connection:
            marked = await connection.execute(self._apply, {"b_id": row.id, "b_now": moment.now})
            saga = await engine.table.get(connection, row.saga, lock=True)
            if marked.rowcount != 1 or saga is None:
                await connection.rollback()
                return None
            result, transition = accept(saga, engine.definitions.of, None, event, moment)
            if result is NotifyResult.DUPLICATE_EVENT:
                return None  # it was accepted by another way; here it is done with
            if transition is None:
                await connection.rollback()  # it keeps waiting
                return None
            transition = await engine.limits.granted(connection, saga, transition)
            if not await engine.table.move(connection, saga, transition):
                await connection.rollback()
                return None
        return await engine.told(saga, transition)


def _event_of(row: Any) -> NotifyEvent:
    given = row.event
    return NotifyEvent(
        payload=given["payload"],
        event_id=row.event_id,
        event_type=given["event_type"],
        correlation_id=given["correlation_id"],
    )
