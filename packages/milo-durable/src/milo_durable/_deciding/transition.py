"""What a decision is made of: outcomes, the moment, the transition, an entry of the history."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from milo_durable.definition import StepDefinition
from milo_durable.events import StepAwaitEvent
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import SagaStatus

_log = logging.getLogger(__name__)

EXECUTE: Final = "execute"
COMPENSATE: Final = "compensate"
ABORTED: Final = "aborted"
LATE: Final = "the event did not come in time"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The step returned ``output``, as JSON; ``skipped`` when an operator gave it."""

    output: Any
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Waits:
    """The step waits for an event."""

    event: StepAwaitEvent


@dataclass(frozen=True, slots=True)
class Failed:
    """The step raised, or took too long; ``retries`` is whether another attempt may help.

    When it ``halts`` nobody runs it any more until an operator says so.
    """

    error: str
    timed_out: bool = False
    retries: bool = True
    halts: bool = False


Outcome: TypeAlias = Succeeded | Waits | Failed


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision may not find out itself: the time, a fresh token, how long leases are."""

    now: datetime
    token: UUID
    lease: timedelta
    grace: timedelta

    def deadline(self, step: StepDefinition) -> datetime:
        """Until when a worker that begins with ``step`` now has its saga."""
        taken = self.lease if step.timeout is None else step.timeout
        return self.now + taken + self.grace


@dataclass(frozen=True, slots=True)
class Transition:
    """The saga after it, and what is added to its row besides the plain columns.

    ``entry`` joins the history, ``output`` becomes that of the step in it, and ``context``
    replaces the context as a whole. ``outbox`` is stored beside it, to be published. ``started``
    are the branches that run from now on, driven by whoever carries the transition out.
    """

    after: SagaSnapshot
    entry: Mapping[str, Any] | None = None
    output: tuple[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    outbox: Sequence[Mapping[str, Any]] = ()
    started: tuple[str, ...] = ()


def applied(saga: SagaSnapshot, transition: Transition) -> SagaSnapshot:
    """``saga`` after ``transition``, with what that adds to its history."""
    after = transition.after
    if transition.entry is not None:
        after = replace(after, step_history=(*saga.step_history, transition.entry))
    return after


def with_output(context: Mapping[str, Any], step_id: str, output: Any) -> Mapping[str, Any]:
    """The context once the step has completed."""
    return {**context, "outputs": {**context.get("outputs", {}), step_id: output}}


def retry_at(
    step: StepDefinition, attempt: int, outcome: Failed, moment: Moment
) -> datetime | None:
    """When the step is tried again; ``None`` if it is not."""
    if not outcome.retries:
        return None
    try:
        delay = step.retry_policy.next_delay(attempt)
        return None if delay is None else moment.now + delay
    except Exception:  # the policy's; left alone it would have the step run for ever
        _log.exception("the retry policy of step %s failed; there is no retry", step.step_id)
        return None


def moved(
    saga: SagaSnapshot,
    status: SagaStatus,
    moment: Moment,
    deadline: datetime | None = None,
    **changes: Any,
) -> SagaSnapshot:
    return replace(
        saga,
        status=status,
        step_execution_token=moment.token,
        deadline_at=deadline,
        awaiting=None,
        crash_count=0,
        updated_at=moment.now,
        branches={},
        **changes,
    )


def awaiting_of(event_types: Any, correlation_id: str | None) -> dict[str, Any]:
    types = None if event_types is None else list(event_types)
    return {"event_types": types, "correlation_id": correlation_id}


def entry_of(
    saga: SagaSnapshot,
    step: StepDefinition,
    phase: str,
    status: str,
    given: Any,
    moment: Moment,
    *,
    output: Any = None,
    error: str | None = None,
) -> dict[str, Any]:
    """An entry of the history; its keys are those of SEMANTICS."""
    return {
        "timestamp": moment.now.isoformat(),
        "phase": phase,
        "status": status,
        "step_id": step.step_id,
        "step_name": step.name,
        "attempt": saga.retry_count + 1,
        "token": str(saga.step_execution_token),
        "input": given,
        "output": output,
        "error": error,
        "skipped": False,
    }
