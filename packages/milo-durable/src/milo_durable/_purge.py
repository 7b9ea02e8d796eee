"""Deleting rows that are done with, a batch at a time, so that nobody waits for long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Column, Table, bindparam, delete, func, select

from milo_durable._database import Database
from milo_durable.definition import check_span
from milo_durable.engine import Clock

BATCH: Final = 1000
"""How many rows are deleted in one statement, which is a commit of its own."""


class Purge:
    """Deletes the rows of ``table`` for which ``done_at`` was long ago, the oldest first.

    The newest row of all stays: SQLite would give its id again to the next one, and ids are
    what receivers tell messages apart by.
    """

    def __init__(self, database: Database, commit: str, table: Table, done_at: Column[Any]) -> None:
        self._database = database
        self._commit = commit
        done = (
            select(table.c.id)
            .where(
                done_at <= bindparam("b_until"),
                table.c.id < select(func.max(table.c.id)).scalar_subquery(),
            )
            .order_by(table.c.id)
            .limit(bindparam("b_limit"))
            .with_for_update(skip_locked=True)
            .cte("done")  # found once: a subquery may be run again for each row, past its limit
        )
        found = table.c.id.in_(select(done.c.id))
        self._delete = delete(table).where(found).returning(table.c.id)

    async def run(self, older_than: timedelta, clock: Clock) -> int:
        """Delete what was done ``older_than`` ago; how many rows.

        Raises:
            SagaDefinitionError: ``older_than`` is no length of time above 0.
        """
        check_span("older_than", older_than)
        params = {"b_until": clock() - older_than, "b_limit": BATCH}
        deleted = batch = await self._delete_batch(params)
        while batch == BATCH:
            batch = await self._delete_batch(params)
            deleted += batch
        return deleted

    async def _delete_batch(self, params: dict[str, Any]) -> int:
        async with self._database.statement(self._commit) as connection:
            deleted = await connection.execute(self._delete, params)
            return len(deleted.all())  # SQLite counts no rows after WITH
