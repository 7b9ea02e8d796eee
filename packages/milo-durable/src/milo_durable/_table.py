"""Every statement on the saga table. Each is made once; a transition is one guarded ``UPDATE``.

The guard is the token: whoever has lost its saga changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Table,
    Update,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import String

from milo_durable._deciding.transition import Transition
from milo_durable._sql import fresh_token, json_append, json_put, wake
from milo_durable.models import JSON_VALUE
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import ACTIVE, WAITING, WORKING, SagaStatus
from milo_durable.summary import COLUMNS, Filter, SagaSummary

_PLAIN = (
    *("status", "current_step_index", "step_execution_token", "deadline_at"),
    *("retry_count", "crash_count", "awaiting", "error", "updated_at"),
)
_COLUMNS = tuple(SagaSnapshot.__dataclass_fields__)


class SagaTable:
    """Statements on one saga table; every method runs one, on the connection it is given."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.channel = channel_of(table)
        self.woken_for: set[str] = set()
        """Names of which workers are woken also when a saga no longer runs."""
        self._columns = [table.c[name] for name in _COLUMNS]
        self.rows = select(*self._columns)
        """Sagas as ``read`` takes them."""
        self._insert = insert(table)
        self._insert_waiting = self._insert.returning(self.wakes())
        self._by_id = self.rows.where(table.c.id == bindparam("b_id"))
        self._by_id_locked = self._by_id.with_for_update()
        self._updates: dict[tuple[bool, ...], Any] = {}
        self._branch_updates: dict[tuple[bool, bool, bool], Any] = {}
        self._renew = (
            update(table)
            .where(*self._guard())
            .values(deadline_at=bindparam("b_deadline_at"), updated_at=bindparam("b_updated_at"))
        )
        # The next claim would count whoever hands the saga over as one that has died.
        self._hand_over = self._renew.values(crash_count=table.c.crash_count - 1).returning(
            self.wakes()
        )
        self._claim = self._claiming()
        in_branches = table.c.branches.is_not(null())
        waits = (table.c.status == SagaStatus.SUSPENDED) & table.c.awaiting.is_not(null())
        in_flight = table.c.status.in_([str(SagaStatus.RUNNING), str(SagaStatus.SUSPENDED)])
        self._late = self.rows.where(
            or_(waits, in_branches & in_flight),
            table.c.deadline_at <= bindparam("b_now"),
            self.is_known(),
        ).limit(bindparam("b_limit"))
        self._next_deadline = select(func.min(table.c.deadline_at)).where(
            table.c.status.in_([str(each) for each in ACTIVE]),
            table.c.deadline_at > bindparam("b_after"),
            table.c.deadline_at <= bindparam("b_until"),
            self.is_known(),
        )

    async def add(self, connection: AsyncConnection, saga: SagaSnapshot) -> None:
        """Insert a new saga; when it begins later, workers are woken to look when."""
        row = {name: getattr(saga, name) for name in _COLUMNS}
        row |= {"status": str(saga.status), "step_history": list(saga.step_history)}
        row["branches"] = _branches_to_json(saga)
        statement = self._insert_waiting if saga.status in WAITING else self._insert
        await connection.execute(statement, row)

    async def get(
        self, connection: AsyncConnection, saga_id: UUID, *, lock: bool = False
    ) -> SagaSnapshot | None:
        """The saga with this id; with ``lock`` nobody changes it before the transaction's end."""
        statement = self._by_id_locked if lock else self._by_id
        row = (await connection.execute(statement, {"b_id": saga_id})).one_or_none()
        return None if row is None else _snapshot(row)

    async def summaries(self, connection: AsyncConnection, asked: Filter) -> list[SagaSummary]:
        """The sagas that are asked for, those started last first, without their histories."""
        table = self.table
        newest_first = (table.c.created_at.desc(), table.c.id.desc())
        statement = select(*[table.c[name] for name in COLUMNS]).order_by(*newest_first)
        if asked.statuses is not None:
            statement = statement.where(table.c.status.in_([str(each) for each in asked.statuses]))
        if asked.name is not None:
            statement = statement.where(table.c.saga_name == asked.name)
        if asked.aggregation_id is not None:
            statement = statement.where(table.c.aggregation_id == asked.aggregation_id)
        if asked.ids is not None:
            statement = statement.where(table.c.id.between(*asked.ids))
        rows = await connection.execute(statement.limit(asked.limit))
        return [SagaSummary(**_fields(row)) for row in rows]

    async def move(
        self, connection: AsyncConnection, before: SagaSnapshot, transition: Transition
    ) -> bool:
        """Carry ``transition`` out; ``False`` if somebody else has moved the saga since.

        The guard is the token, or for a saga with branches these, each with its token.
        """
        after = transition.after
        params: dict[str, Any] = {name: getattr(after, name) for name in _PLAIN}
        params |= {"b_id": before.id, "b_token": before.step_execution_token}
        params["status"] = str(after.status)
        if transition.entry is not None:
            params["b_entry"] = transition.entry
        if transition.output is not None:
            params["b_step_id"], params["b_output"] = transition.output
        if transition.context is not None:
            params["b_context"] = transition.context
        if before.branches:
            params["b_before"] = _branches_to_json(before)
            params["b_branches"] = _branches_to_json(after)
            statement = self._branch_update_for(transition)
        else:
            statement = self._update_for(transition)
        done = await connection.execute(statement, params)
        return (len(done.all()) if done.returns_rows else done.rowcount) == 1

    async def renew(
        self, connection: AsyncConnection, saga: SagaSnapshot, deadline: datetime, now: datetime
    ) -> bool:
        """Put the deadline off; ``False`` if the saga is somebody else's by now."""
        params = {
            "b_id": saga.id,
            "b_token": saga.step_execution_token,
            "b_deadline_at": deadline,
            "b_updated_at": now,
        }
        return (await connection.execute(self._renew, params)).rowcount == 1

    async def hand_over(
        self, connection: AsyncConnection, saga: SagaSnapshot, now: datetime
    ) -> None:
        """Make the saga due at once, for others."""
        params = {"b_id": saga.id, "b_token": saga.step_execution_token}
        await connection.execute(
            self._hand_over, {**params, "b_deadline_at": now, "b_updated_at": now}
        )

    async def claim(
        self,
        connection: AsyncConnection,
        known: Sequence[tuple[str, int]],
        now: datetime,
        deadline: datetime,
        limit: int,
    ) -> list[SagaSnapshot]:
        """Take up to ``limit`` sagas whose deadline has passed, each with a fresh token.

        Those that waited for an attempt are running again; of the others, somebody had them and
        has recorded nothing, which is counted. Nobody waits: rows that another worker is at are
        passed over.
        """
        params = {"b_now": now, "b_known": list(known), "b_deadline": deadline, "b_limit": limit}
        return await self.read(connection, self._claim, params)

    async def late(
        self,
        connection: AsyncConnection,
        known: Sequence[tuple[str, int]],
        now: datetime,
        limit: int,
    ) -> list[SagaSnapshot]:
        """Sagas that are due, and which no claim takes: whose event did not come in time, or
        that have branches."""
        params = {"b_now": now, "b_known": list(known), "b_limit": limit}
        return await self.read(connection, self._late, params)

    async def read(
        self, connection: AsyncConnection, statement: Any, params: dict[str, Any]
    ) -> list[SagaSnapshot]:
        """The sagas that a statement on ``rows`` finds."""
        return [_snapshot(row) for row in await connection.execute(statement, params)]

    async def next_deadline(
        self,
        connection: AsyncConnection,
        known: Sequence[tuple[str, int]],
        after: datetime,
        until: datetime,
    ) -> datetime | None:
        """The first moment ``after`` one and up to another at which a saga is due."""
        params = {"b_known": list(known), "b_after": after, "b_until": until}
        found: datetime | None = (
            await connection.execute(self._next_deadline, params)
        ).scalar_one_or_none()
        return found

    def wakes(self) -> wake:
        """What a statement returns so that workers on this table look what is due."""
        return wake(literal(self.channel))

    def _guard(self) -> tuple[Any, ...]:
        table = self.table
        return self._has_id(), table.c.step_execution_token == bindparam("b_token")

    def _has_id(self) -> Any:
        return self.table.c.id == bindparam("b_id")

    def _has_branches(self) -> Any:
        column = self.table.c.branches
        return column == bindparam("b_before", type_=column.type)

    def is_known(self) -> Any:
        """Whether a saga is of one of the names and versions ``b_known``."""
        table = self.table
        named = tuple_(table.c.saga_name, table.c.definition_version)
        return named.in_(bindparam("b_known", expanding=True))

    def _update_for(self, transition: Transition) -> Any:
        """The statement that also writes what this transition has besides the plain columns.

        When the saga waits from now on, workers are woken: its event may be in the inbox, its
        next attempt due before all else. So they are when it leaves its place to another.
        """
        parts = transition.entry, transition.output, transition.context
        after = transition.after
        leaves = after.saga_name in self.woken_for and after.status not in WORKING
        wakes = leaves or after.status in WAITING
        key = (*(part is not None for part in parts), wakes)
        statement = self._updates.get(key)
        if statement is None:
            statement = self._update_with(*key[:3])
            if wakes:
                statement = statement.returning(self.wakes())
            self._updates[key] = statement
        return statement

    def _branch_update_for(self, transition: Transition) -> Any:
        """As ``_update_for``, of a saga with branches; one of them may always wait."""
        key = (
            transition.entry is not None,
            transition.output is not None,
            transition.context is not None,
        )
        statement = self._branch_updates.get(key)
        if statement is None:
            table = self.table
            statement = (
                self._update_with(*key, guard=(self._has_id(), self._has_branches()))
                .values(branches=bindparam("b_branches", type_=table.c.branches.type))
                .returning(self.wakes())
            )
            self._branch_updates[key] = statement
        return statement

    def _update_with(
        self,
        entry: bool,
        output: bool,
        context: bool,
        *,
        guard: tuple[Any, ...] | None = None,
    ) -> Update:
        table = self.table
        values: dict[str, Any] = {}  # those of _PLAIN come by their names, which is cheaper
        if entry:
            given = bindparam("b_entry", type_=JSON_VALUE)
            values["step_history"] = json_append(table.c.step_history, given)
        if context:
            values["context"] = bindparam("b_context")
        elif output:
            values["context"] = json_put(
                table.c.context,
                bindparam("b_outputs", "outputs", type_=String()),
                bindparam("b_step_id", type_=String()),
                bindparam("b_output", type_=JSON_VALUE),
            )
        return update(table).where(*(guard or self._guard())).values(values)

    def _claiming(self) -> Any:
        table = self.table
        status = table.c.status
        waits_for_an_attempt = (status == SagaStatus.SUSPENDED) & table.c.awaiting.is_(null())
        others = [SagaStatus.RUNNING, SagaStatus.COMPENSATING, SagaStatus.COMPENSATING_SUSPENDED]
        due = (
            select(table.c.id)
            .where(
                table.c.deadline_at <= bindparam("b_now"),
                status.in_([str(each) for each in others]) | waits_for_an_attempt,
                table.c.branches.is_(null()),
                self.is_known(),
            )
            .order_by(table.c.deadline_at)
            .limit(bindparam("b_limit"))
            .with_for_update(skip_locked=True)
            .cte("due")  # found once: a subquery may be run again for each row, past its limit
        )
        working = case(
            (status == SagaStatus.SUSPENDED, str(SagaStatus.RUNNING)),
            (status == SagaStatus.COMPENSATING_SUSPENDED, str(SagaStatus.COMPENSATING)),
            else_=status,
        )
        return (
            update(table)
            .where(table.c.id.in_(select(due.c.id)))
            .values(
                status=working,
                crash_count=case((status.in_(WORKING), table.c.crash_count + 1), else_=0),
                step_execution_token=fresh_token(),
                deadline_at=bindparam("b_deadline"),
                updated_at=bindparam("b_now"),
            )
            .returning(*self._columns)
        )


def channel_of(table: Table) -> str:
    """What PostgreSQL calls the channel on which workers of this table are woken."""
    name = f"milo_saga_{table.name}"
    if len(name.encode()) < 64:
        return name
    return f"milo_saga_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _snapshot(row: Any) -> SagaSnapshot:
    given = _fields(row)
    given["step_history"] = tuple(given["step_history"])
    return SagaSnapshot(**given)


def _fields(row: Any) -> dict[str, Any]:
    given = dict(row._mapping)
    given["status"] = SagaStatus(given["status"])
    branches = given["branches"] or {}
    given["branches"] = {name: Branch.from_json(each) for name, each in branches.items()}
    return given


def _branches_to_json(saga: SagaSnapshot) -> dict[str, Any] | None:
    return {name: branch.to_json() for name, branch in saga.branches.items()} or None
