"""The tables: mixins for models of the application's own.

Mapping a model with ``SagaStateMixin`` adds three indexes to its table: one makes it impossible
that two sagas of one aggregation id are active, one finds what is due, and one has the newest
sagas at its end, for those who look. It also adds an inbox table to the metadata, unless that has
an inbox model of the application's own, now or later. Indexes are named after their table, as
migrations need it.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, Mapper, mapped_column, registry
from sqlalchemy.types import TypeDecorator

from milo_durable.status import ACTIVE, SagaStatus

# ``None`` is NULL in a column and ``null`` in a value that becomes a part of one.
JSON_VALUE = JSON().with_variant(JSONB(), "postgresql")
JSON_TYPE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

LONGEST_NAME: Final = 63
"""How many bytes of a name PostgreSQL keeps."""
_KINDS: Final = "milo_durable.inboxes"
"""In the ``info`` of a metadata: its inbox tables, each with which of these two it is."""
_OWN: Final = "inbox"
_BUILT_IN: Final = "built-in inbox"


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
    ``crash_count`` is how many workers in a row had the saga and have recorded nothing.
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
    crash_count: Mapped[int] = mapped_column(Integer, default=0)
    awaiting: Mapped[dict[str, Any] | None] = mapped_column(JSON_TYPE)
    error: Mapped[str | None] = mapped_column(Text)
    branches: Mapped[dict[str, Any] | None] = mapped_column(JSON_TYPE)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class InboxMessageMixin:
    """The columns of an inbox table: events that were taken in and wait for their saga."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(String(255))
    saga_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    aggregation_id: Mapped[str | None] = mapped_column(String(255))
    event: Mapped[dict[str, Any]] = mapped_column(JSON_TYPE)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its saga has accepted it; until then it waits."""

    @classmethod
    def __table_cls__(cls, *args: Any, **options: Any) -> Table:
        """The table; it may have the name that a built-in one has, which gives way."""
        _remove_built_in_inboxes(args[1])
        return Table(*args, **options)


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
def _complete_saga_table(mapper: Mapper[Any], kind: type) -> None:
    table = mapper.local_table
    if not isinstance(table, Table) or "step_execution_token" not in table.c:
        return
    is_active = table.c.status.in_([str(each) for each in ACTIVE])
    _add_index(table, "uq", "active", table.c.aggregation_id, where=is_active)
    _add_index(table, "ix", "due", table.c.status, table.c.deadline_at)
    _add_index(table, "ix", "created", table.c.created_at, table.c.id)
    _add_built_in_inbox(table)


@event.listens_for(InboxMessageMixin, "instrument_class", propagate=True)
def _complete_inbox_table(mapper: Mapper[Any], kind: type) -> None:
    table = mapper.local_table
    if not isinstance(table, Table) or "applied_at" not in table.c:
        return
    waits = table.c.applied_at.is_(None)
    _add_index(table, "uq", "event_id", table.c.event_id)
    _add_index(table, "ix", "saga", table.c.saga_id, where=waits)
    _add_index(table, "ix", "aggregation", table.c.aggregation_id, where=waits)
    if _kinds(table.metadata).setdefault(table.key, _OWN) == _OWN:
        _remove_built_in_inboxes(table.metadata)


@event.listens_for(OutboxMessageMixin, "instrument_class", propagate=True)
def _complete_outbox_table(mapper: Mapper[Any], kind: type) -> None:
    table = mapper.local_table
    if isinstance(table, Table) and "sent_at" in table.c:
        _add_index(table, "ix", "due", table.c.id, where=table.c.sent_at.is_(None))


def _add_index(
    table: Table, prefix: str, suffix: str, *columns: Column[Any], where: Any = None
) -> None:
    """Add an index, unique if it is an ``uq``; once, however many classes are mapped to a table."""
    name = _fitting(f"{prefix}_{table.name}_{suffix}")
    if not any(each.name == name for each in table.indexes):
        part = {} if where is None else {"sqlite_where": where, "postgresql_where": where}
        Index(name, *columns, unique=prefix == "uq", **part)


def _fitting(name: str) -> str:
    """``name``, or a shorter one where PostgreSQL would cut it off."""
    data = name.encode()
    if len(data) <= LONGEST_NAME:
        return name
    return f"{data[:50].decode(errors='ignore')}_{hashlib.sha256(data).hexdigest()[:12]}"


# The built-in inbox


def built_in_inbox(saga_table: Table) -> Table | None:
    """The inbox of a saga table whose metadata has no inbox model of the application's own."""
    metadata, key = saga_table.metadata, _inbox_key(saga_table)
    return metadata.tables.get(key) if _kinds(metadata).get(key) == _BUILT_IN else None


def _add_built_in_inbox(saga_table: Table) -> None:
    """Add one, unless the application has an inbox model, or another table of that name."""
    metadata, key = saga_table.metadata, _inbox_key(saga_table)
    if key in metadata.tables or _OWN in _kinds(metadata).values():
        return
    _kinds(metadata)[key] = _BUILT_IN
    names = {
        "__tablename__": _inbox_name(saga_table),
        "__table_args__": {"schema": saga_table.schema},
        "__table_cls__": Table,
    }
    registry(metadata=metadata).mapped(type("BuiltInInbox", (InboxMessageMixin,), names))


def _remove_built_in_inboxes(metadata: MetaData) -> None:
    kinds = _kinds(metadata)
    for key in [key for key, kind in kinds.items() if kind == _BUILT_IN]:
        del kinds[key]
        if key in metadata.tables:
            metadata.remove(metadata.tables[key])


def _kinds(metadata: MetaData) -> dict[str, str]:
    kinds: dict[str, str] = metadata.info.setdefault(_KINDS, {})
    return kinds


def _inbox_name(saga_table: Table) -> str:
    return _fitting(f"{saga_table.name}_inbox")


def _inbox_key(saga_table: Table) -> str:
    """What the metadata knows the inbox by."""
    name = _inbox_name(saga_table)
    return name if saga_table.schema is None else f"{saga_table.schema}.{name}"
