"""What a step writes to the application's tables in the transaction that records it.

The session that it is given is one of the application's, on the connection of that transaction;
the engine commits, nobody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from milo_durable import _work
from milo_durable._deciding.transition import EXECUTE, Failed, Transition
from milo_durable.definition import SagaDefinition, StepDefinition
from milo_durable.errors import SagaDataError, SagaDefinitionError


class RecordingFailed(Exception):
    """What came of it is this ``outcome`` of the step, which had the input ``given``."""

    def __init__(self, outcome: Failed, given: Any) -> None:
        super().__init__(outcome.error)
        self.outcome, self.given = outcome, given


@dataclass(frozen=True, slots=True)
class Recording:
    """That ``step`` records by its method ``name``; ``given`` and ``output`` are JSON."""

    step: StepDefinition
    name: str
    given: Any
    output: Any

    def failed(self, error: Exception) -> RecordingFailed:
        """It was not stored, because of ``error``."""
        return RecordingFailed(Failed(_work.told(error)), self.given)


def recording_of(definition: SagaDefinition, transition: Transition) -> Recording | None:
    """What is recorded with ``transition``, if anything: a step that did or undid something."""
    entry = transition.entry
    if entry is None or entry["status"] != "SUCCESS" or entry["skipped"]:
        return None
    name = "record" if entry["phase"] == EXECUTE else "record_undo"
    for step in definition.steps:
        if step.step_id == entry["step_id"] and name in step.recorders:
            return Recording(step, name, entry["input"], entry["output"])
    return None


async def record(
    recording: Recording,
    connection: AsyncConnection,
    sessions: async_sessionmaker[Any],
    lease: timedelta,
) -> None:
    """Have the step write in the transaction of ``connection``, where its saga is moved already.

    Raises:
        RecordingFailed: it could not; the transaction is of no use any more.
    """
    step = recording.step
    try:
        inp = step.types.input_from_json(recording.given)
        out = step.types.output_from_json(recording.output)
    except SagaDataError as error:
        raise RecordingFailed(Failed(_work.told(error), retries=False), recording.given) from error
    options: dict[str, Any] = {"bind": connection, "join_transaction_mode": "rollback_only"}
    async with sessions(**options) as session:
        event.listen(session.sync_session, "before_commit", _refuse_commit)
        write: Callable[..., Awaitable[None]] = getattr(step.step, recording.name)

        async def written() -> None:
            await session.begin()
            await session.connection()  # from here on a rollback is one of the whole
            await write(session, inp, out)
            await _flush(session, connection)

        # Nobody can take the saga: its row is locked. To renew the lease would wait for that lock.
        outcome = await _work.attempt(step, written, (), _work.Upkeep(lease, _keep, _nothing))
        if isinstance(outcome, Failed):
            raise RecordingFailed(outcome, recording.given)


@contextmanager
def refused_by_commit() -> Iterator[list[Recording]]:
    """What the commit refuses, by a constraint that is deferred, is a failure of the recording.

    The block puts what has been written into the list that it is given.
    """
    written: list[Recording] = []
    try:
        yield written
    except DBAPIError as error:
        if not written:
            raise
        raise written[0].failed(error) from error


async def _flush(session: AsyncSession, connection: AsyncConnection) -> None:
    """Send what is left to the database, and see that the transaction still stands."""
    if not connection.in_transaction():
        raise SagaDefinitionError(
            "the session was rolled back, by the step or after an error of the database that the "
            "step caught; raise an error instead, or write what may fail within "
            "async with session.begin_nested()"
        )
    await session.flush()
    # After a statement that failed, PostgreSQL takes a COMMIT without a word and rolls back.
    await connection.execute(select(1))


async def _keep() -> bool:
    return True


async def _nothing() -> None:
    return None


def _refuse_commit(session: Session) -> None:
    if not session.in_nested_transaction():
        raise SagaDefinitionError(
            "a step must not commit the session that it records with: what it wrote is committed "
            "with its result when the method returns; leave out commit() and begin()"
        )
