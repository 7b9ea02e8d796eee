"""Resuming: going on now with a saga that nobody drives, if it waits for nothing but the time."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from milo_durable._deciding.branch_deadlines import due
from milo_durable._deciding.outside import after_expiry, onward
from milo_durable._deciding.transition import Moment, Transition
from milo_durable.definition import SagaDefinition
from milo_durable.errors import SagaStateError
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import WORKING, SagaStatus

_HAS_ENDED = {
    SagaStatus.COMPLETED: "it has ended",
    SagaStatus.COMPENSATED: "it has ended",
    SagaStatus.FAILED: "it has ended; SagaAdmin.retry_step and compensate_step may revive it",
    SagaStatus.TIMEOUT: "its event did not come; SagaAdmin.retry_step or compensate_step decide",
}


def resumed(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """What resuming ``saga`` means: its next attempt, or its end if its event is too late.

    Of branches, all are set going that wait for their next attempt, or whose lease is over.

    Raises:
        SagaStateError: it has ended, waits for an event, or a worker has it.
    """
    if saga.status in _HAS_ENDED:
        _refuse(saga, _HAS_ENDED[saga.status])
    if saga.branches and (following := due(saga, definition, moment, early=True)):
        return following
    is_due = saga.deadline_at is not None and saga.deadline_at <= moment.now
    if saga.awaiting is not None:
        if not is_due:
            _refuse(saga, f"it waits for {_awaited(saga)}, which notify or ingest_event sends")
        return after_expiry(saga, definition, moment)
    if saga.status in WORKING and not is_due:
        _refuse(saga, f"a worker has it, until {_told(saga.deadline_at)} unless it puts that off")
    return onward(saga, definition, moment)


def _refuse(saga: SagaSnapshot, hint: str) -> NoReturn:
    raise SagaStateError(saga.id, saga.status, "be resumed", hint)


def _awaited(saga: SagaSnapshot) -> str:
    """What the saga waits for, in words."""
    awaiting = saga.awaiting or {}
    words = ["an event"]
    if awaiting["event_types"] is not None:
        words.append(f"of type {' or '.join(map(repr, awaiting['event_types']))}")
    if awaiting["correlation_id"] is not None:
        words.append(f"with the correlation id {awaiting['correlation_id']!r}")
    if saga.deadline_at is not None:
        words.append(f"until {_told(saga.deadline_at)}")
    return " ".join(words)


def _told(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(" ", "seconds")
