"""Waiting for a turn, where only so many sagas of a name may run at the same time."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from milo_durable._deciding.branches import summed_up
from milo_durable._deciding.transition import Moment, Transition
from milo_durable.definition import SagaDefinition
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import WORKING, SagaStatus

_STANDS_BY: Final = {
    SagaStatus.RUNNING: SagaStatus.SUSPENDED,
    SagaStatus.COMPENSATING: SagaStatus.COMPENSATING_SUSPENDED,
}
_GOES_ON: Final = {waiting: working for working, waiting in _STANDS_BY.items()}


def queued(definition: SagaDefinition, transition: Transition, moment: Moment) -> Transition:
    """The same, but what would run from now on waits, and is due at once."""
    after = transition.after
    if transition.started:
        waiting = {
            step_id: replace(
                after.branches[step_id], status=SagaStatus.SUSPENDED, deadline_at=moment.now
            )
            for step_id in transition.started
        }
        after = summed_up(after, definition, {**after.branches, **waiting}, moment)
    elif after.status in WORKING:
        after = replace(after, status=_STANDS_BY[after.status], deadline_at=moment.now)
    return replace(transition, after=after, started=())


def taken(saga: SagaSnapshot, moment: Moment) -> Transition:
    """A saga without branches that is due goes on, as ``SagaTable.claim`` has it."""
    is_left = saga.status in WORKING  # whoever had it has recorded nothing
    after = replace(
        saga,
        status=_GOES_ON.get(saga.status, saga.status),
        step_execution_token=moment.token,
        deadline_at=moment.now + moment.lease + moment.grace,
        crash_count=saga.crash_count + 1 if is_left else 0,
        updated_at=moment.now,
    )
    return Transition(after)
