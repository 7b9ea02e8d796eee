"""Every statement on the outbox table: messages that wait until they have been published.

A message is claimed until a moment. If it is not sent by then, whoever had it has died, or could
not publish it, and it is claimed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from milo_durable._json import check_json
from milo_durable.errors import SagaDataError
from milo_durable.snapshot import SagaSnapshot


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """What is to be published. ``id`` is the same at each attempt, which ``attempt`` counts.

    ``event`` is as the step gave it; ``event_type`` and ``key`` are taken from it. Without a
    key of its own, a message has that of its saga, the ``aggregation_id``.
    """

    id: int
    saga_id: UUID
    event_type: str | None
    key: str
    event: Mapping[str, Any]
    created_at: datetime
    attempt: int


def read_outbox_events(given: object) -> tuple[dict[str, Any], ...]:
    """What a step gave as ``outbox_events``. Raises: SagaDataError: it is not that."""
    if given is None:
        return ()
    if not isinstance(given, Sequence) or not all(isinstance(each, Mapping) for each in given):
        raise SagaDataError(f"outbox_events must be a list of mappings, not {given!r:.200}")
    events = tuple(dict(each) for each in given)
    for event in events:
        for name in ("event_type", "key"):
            if not isinstance(event.get(name), (str, type(None))):
                raise SagaDataError(f"{name} of an outbox event must be a text: {event!r:.200}")
        check_json(event, "an outbox event")
    return events


class OutboxTable:
    """Statements on one outbox table, each on the connection that it is given."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._insert = insert(table)
        due = (
            select(table.c.id)
            .where(
                table.c.sent_at.is_(None),
                or_(table.c.claimed_until.is_(None), table.c.claimed_until <= bindparam("b_now")),
            )
            .order_by(table.c.id)
            .limit(bindparam("b_limit"))
            .with_for_update(skip_locked=True)
            .cte("due")  # found once: a subquery may be run again for each row, past its limit
        )
        self._claim = (
            update(table)
            .where(table.c.id.in_(select(due.c.id)))
            .values(claimed_until=bindparam("b_until"), attempts=table.c.attempts + 1)
            .returning(
                *(table.c.id, table.c.saga_id, table.c.event_type, table.c.key),
                *(table.c.event, table.c.created_at, table.c.attempts.label("attempt")),
            )
        )
        self._sent = (
            update(table)
            .where(table.c.id == bindparam("b_id"))
            .values(sent_at=bindparam("b_now"), claimed_until=None, last_error=None)
        )
        self._failed = (
            update(table)
            .where(
                table.c.id == bindparam("b_id"),
                table.c.attempts == bindparam("b_attempt"),  # nobody has claimed it since
                table.c.sent_at.is_(None),
            )
            .values(claimed_until=bindparam("b_until"), last_error=bindparam("b_error"))
        )

    async def add(
        self,
        connection: AsyncConnection,
        saga: SagaSnapshot,
        events: Sequence[Mapping[str, Any]],
        now: datetime,
    ) -> None:
        """Insert what a step of ``saga`` wants to have published."""
        rows = [
            {
                "saga_id": saga.id,
                "event_type": event.get("event_type"),
                "key": event.get("key") or saga.aggregation_id,
                "event": dict(event),
                "created_at": now,
                "attempts": 0,
            }
            for event in events
        ]
        await connection.execute(self._insert, rows)

    async def claim(
        self, connection: AsyncConnection, now: datetime, until: datetime, limit: int
    ) -> list[OutgoingMessage]:
        """Up to ``limit`` messages that nobody has, oldest first; they are the caller's now."""
        params = {"b_now": now, "b_until": until, "b_limit": limit}
        rows = await connection.execute(self._claim, params)
        messages = [OutgoingMessage(**row._mapping) for row in rows]
        return sorted(messages, key=lambda message: message.id)

    async def sent(
        self, connection: AsyncConnection, message: OutgoingMessage, now: datetime
    ) -> None:
        """Note that it has been published."""
        await connection.execute(self._sent, {"b_id": message.id, "b_now": now})

    async def failed(
        self, connection: AsyncConnection, message: OutgoingMessage, error: str, until: datetime
    ) -> None:
        """Note that it could not be published, and leave it alone ``until`` then."""
        params = {"b_id": message.id, "b_attempt": message.attempt}
        await connection.execute(self._failed, {**params, "b_error": error, "b_until": until})
