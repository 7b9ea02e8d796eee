"""The tables: mixins for models of the application's own.

Mapping a model with ``SagaStateMixin`` adds two indexes to its table: one makes it impossible
that two sagas of one aggregation id are active, the other finds what is due.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Index, Integer, String, Table, Text, Uuid, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, Mapper, mapped_column
from sqlalchemy.types import TypeDecorator

from milo_durable.status import ACTIVE, SagaStatus

# ``None`` is NULL in a column and ``null`` in a value that becomes a part of one.
JSON_VALUE = JSON().with_variant(JSONB(), "postgresql")
JSON_TYPE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, in UTC also where the database keeps no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As the database takes it."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As it was given."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class SagaStateMixin:
    """The columns of a saga table.

    ``context`` holds ``initial_data``, the ``outputs`` of steps by their id, the events,
    and the ``headers`` that hooks have given.
    ``step_history`` has an entry for each execution and compensation that has ended.
    ``awaiting`` is what a suspended saga waits for, ``NULL`` when it waits for its next attempt.
    ``branches`` holds the steps in flight of a saga whose steps may run beside each other.
    """

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    saga_name: Mapped[str] = mapped_column(String(255))
    definition_version: Mapped[int] = mapped_column(Integer, default=1)
    aggregation_id: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(32), default=SagaStatus.RUNNING)
    current_step_index: Mapped[int] = mapped_column(Integer, default=0)
    step_execution_token: Mapped[uuid.UUID] = mapped_column(Uuid, default=uuid.uuid4)
    context: Mapped[dict[str, Any]] = mapped_column(JSON_TYPE, default=dict)
    step_history: Mapped[list[Any]] = mapped_column(JSON_TYPE, default=list)
    deadline_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retry_count: Mapped[int] = mapped_column(Integer, default=0)
    awaiting: Mapped[dict[str, Any] | None] = mapped_column(JSON_TYPE)
    error: Mapped[str | None] = mapped_column(Text)
    branches: Mapped[dict[str, Any] | None] = mapped_column(JSON_TYPE)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class InboxMessageMixin:
    """The columns of an inbox table: events that were taken in and wait for their saga."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(String(255), unique=True)
    saga_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    aggregation_id: Mapped[str | None] = mapped_column(String(255))
    event: Mapped[dict[str, Any]] = mapped_column(JSON_TYPE)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its saga has accepted it; until then it waits."""


class OutboxMessageMixin:
    """The columns of an outbox table: messages that steps want to have published."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    saga_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    event_type: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    event: Mapped[dict[str, Any]] = mapped_column(JSON_TYPE)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then a dispatcher has it, or leaves it alone after an error."""
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    last_error: Mapped[str | None] = mapped_column(Text)


@event.listens_for(SagaStateMixin, "instrument_class", propagate=True)
def _add_saga_indexes(mapper: Mapper[Any], kind: type) -> None:
    table = mapper.local_table
    if not isinstance(table, Table) or "step_execution_token" not in table.c:
        return
    if _has_index(table, f"ix_{table.name}_due"):
        return  # a class below one that was mapped to this table before
    is_active = table.c.status.in_([str(each) for each in ACTIVE])
    Index(
        f"uq_{table.name}_active",
        table.c.aggregation_id,
        unique=True,
        postgresql_where=is_active,
        sqlite_where=is_active,
    )
    Index(f"ix_{table.name}_due", table.c.status, table.c.deadline_at)


@event.listens_for(InboxMessageMixin, "instrument_class", propagate=True)
def _add_inbox_indexes(mapper: Mapper[Any], kind: type) -> None:
    table = mapper.local_table
    if not isinstance(table, Table) or "applied_at" not in table.c:
        return
    if not _has_index(table, f"ix_{table.name}_saga"):
        waits = table.c.applied_at.is_(None)
        Index(f"ix_{table.name}_saga", table.c.saga_id, sqlite_where=waits, postgresql_where=waits)
        Index(
            f"ix_{table.name}_aggregation",
            table.c.aggregation_id,
            sqlite_where=waits,
            postgresql_where=waits,
        )


def _has_index(table: Table, name: str) -> bool:
    return any(each.name == name for each in table.indexes)


@event.listens_for(OutboxMessageMixin, "instrument_class", propagate=True)
def _add_outbox_index(mapper: Mapper[Any], kind: type) -> None:
    table = mapper.local_table
    if isinstance(table, Table) and "sent_at" in table.c:
        waits = table.c.sent_at.is_(None)
        Index(f"ix_{table.name}_due", table.c.id, sqlite_where=waits, postgresql_where=waits)
