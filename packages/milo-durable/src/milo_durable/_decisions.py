"""What follows from the outcome of a step: pure functions from one snapshot to a transition.

No database and no clock: the moment and the new token are given. One transition is one commit.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from milo_durable.definition import SagaDefinition, StepDefinition
from milo_durable.events import (
    NotifyEvent,
    NotifyResult,
    OnTimeout,
    StepAwaitEvent,
    deadline_of,
)
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


# Forward


def after_execution(
    saga: SagaSnapshot, definition: SagaDefinition, outcome: Outcome, given: Any, moment: Moment
) -> Transition:
    """What follows from an execution of the current step with the input ``given``."""
    step = definition.steps[saga.current_step_index]
    attempt = saga.retry_count + 1
    if isinstance(outcome, Succeeded):
        entry = entry_of(saga, step, EXECUTE, "SUCCESS", given, moment, output=outcome.output)
        entry["skipped"] = outcome.skipped
        return _advanced(saga, definition, step, outcome.output, entry, moment)
    if isinstance(outcome, Waits):
        entry = entry_of(saga, step, EXECUTE, "WAITING", given, moment)
        awaiting = awaiting_of(outcome.event.event_types, outcome.event.correlation_id)
        until = deadline_of(outcome.event, moment.now)
        after = _moved(saga, SagaStatus.SUSPENDED, moment, deadline=until)
        after = replace(after, awaiting=awaiting)
        return Transition(after, entry, outbox=outcome.event.outbox_events or ())
    status = "TIMEOUT" if outcome.timed_out else "ERROR"
    entry = entry_of(saga, step, EXECUTE, status, given, moment, error=outcome.error)
    if outcome.halts:
        after = _moved(saga, SagaStatus.SUSPENDED, moment)
        return Transition(replace(after, error=outcome.error), entry)
    again_at = retry_at(step, attempt, outcome, moment)
    if again_at is not None:
        after = _moved(saga, SagaStatus.SUSPENDED, moment, deadline=again_at)
        return Transition(replace(after, retry_count=attempt, error=outcome.error), entry)
    failed = replace(saga, error=outcome.error)
    if definition.compensate_on_failure:
        undoing = begin_compensation(failed, definition, moment)
        if undoing is not None:
            return replace(undoing, entry=entry)
    return Transition(_moved(failed, SagaStatus.FAILED, moment), entry)


def _advanced(
    saga: SagaSnapshot,
    definition: SagaDefinition,
    step: StepDefinition,
    output: Any,
    entry: dict[str, Any],
    moment: Moment,
) -> Transition:
    """On to the next step, or the end."""
    context = with_output(saga.context, step.step_id, output)
    changes: dict[str, Any] = {"context": context, "retry_count": 0, "error": None}
    following = saga.current_step_index + 1
    if following == len(definition.steps):
        after = _moved(saga, SagaStatus.COMPLETED, moment, **changes)
    else:
        deadline = moment.deadline(definition.steps[following])
        changes["current_step_index"] = following
        after = _moved(saga, SagaStatus.RUNNING, moment, deadline, **changes)
    return Transition(after, entry, output=(step.step_id, output))


# Back


def begin_compensation(
    saga: SagaSnapshot, definition: SagaDefinition, moment: Moment
) -> Transition | None:
    """To undoing the latest completed step; ``None`` if nothing was completed.

    Steps without a ``compensate`` are passed over: when only such were completed, there is
    nothing left to do.
    """
    if not saga.outputs:
        return None
    return Transition(_undoing_before(saga, definition, len(definition.steps), moment))


def after_compensation(
    saga: SagaSnapshot, definition: SagaDefinition, outcome: Outcome, given: Any, moment: Moment
) -> Transition:
    """What follows from undoing the current step."""
    step = definition.steps[saga.current_step_index]
    output = saga.outputs.get(step.step_id)
    attempt = saga.retry_count + 1
    if not isinstance(outcome, Failed):
        entry = entry_of(saga, step, COMPENSATE, "SUCCESS", given, moment, output=output)
        return Transition(_undoing_before(saga, definition, saga.current_step_index, moment), entry)
    status = "TIMEOUT" if outcome.timed_out else "ERROR"
    entry = entry_of(
        saga, step, COMPENSATE, status, given, moment, output=output, error=outcome.error
    )
    waiting = SagaStatus.COMPENSATING_SUSPENDED
    if outcome.halts:
        return Transition(_moved(saga, waiting, moment), entry)
    again_at = retry_at(step, attempt, outcome, moment)
    if again_at is None:
        return Transition(_moved(saga, SagaStatus.FAILED, moment), entry)
    after = _moved(saga, waiting, moment, deadline=again_at)
    return Transition(replace(after, retry_count=attempt), entry)


def _undoing_before(
    saga: SagaSnapshot, definition: SagaDefinition, before: int, moment: Moment
) -> SagaSnapshot:
    """On to undoing the latest completed step before index ``before``, or the end."""
    saga = replace(saga, retry_count=0)
    undone = {
        entry["step_id"]
        for entry in saga.step_history
        if (entry["phase"], entry["status"]) == (COMPENSATE, "SUCCESS")
    }
    for index in reversed(range(before)):
        step = definition.steps[index]
        if step.undoes and step.step_id in saga.outputs and step.step_id not in undone:
            deadline = moment.deadline(step)
            after = _moved(saga, SagaStatus.COMPENSATING, moment, deadline=deadline)
            return replace(after, current_step_index=index)
    return _moved(saga, SagaStatus.COMPENSATED, moment)


def input_of_last_success(saga: SagaSnapshot, step_id: str) -> Any:
    """What the step was given when it last succeeded, as JSON."""
    for entry in reversed(saga.step_history):
        if (entry["step_id"], entry["phase"], entry["status"]) == (step_id, EXECUTE, "SUCCESS"):
            return entry["input"]
    return None


def input_of_last_attempt(saga: SagaSnapshot, step_id: str) -> Any:
    """What the step was given last, as JSON, whatever came of it."""
    for entry in reversed(saga.step_history):
        if (entry["step_id"], entry["phase"]) == (step_id, EXECUTE) and entry["input"] is not None:
            return entry["input"]
    return None


def is_undoing(saga: SagaSnapshot, definition: SagaDefinition) -> bool:
    """Whether the saga has turned back: its current step is one that was completed."""
    return definition.steps[saga.current_step_index].step_id in saga.outputs


# From outside


def judge_event(
    saga: SagaSnapshot, token: UUID | None, event: NotifyEvent, now: datetime
) -> NotifyResult:
    """Whether ``event`` is accepted; ``token`` is not asked for events of the inbox."""
    if saga.status != SagaStatus.SUSPENDED or saga.awaiting is None:
        return NotifyResult.NOT_WAITING
    if token is not None and token != saga.step_execution_token:
        return NotifyResult.STALE_TOKEN
    known = [each.get("event_id") for each in saga.context.get("events", ())]
    if event.event_id is not None and event.event_id in known:
        return NotifyResult.DUPLICATE_EVENT
    return judge_kind(saga.awaiting, saga.deadline_at, event, now)


def judge_kind(
    awaiting: Mapping[str, Any], until: datetime | None, event: NotifyEvent, now: datetime
) -> NotifyResult:
    """Whether ``event`` is what is waited for, and in time."""
    types, correlation_id = awaiting["event_types"], awaiting["correlation_id"]
    if types is not None and event.event_type not in types:
        return NotifyResult.WRONG_EVENT_TYPE
    if correlation_id is not None and event.correlation_id != correlation_id:
        return NotifyResult.WRONG_CORRELATION_ID
    if until is not None and until <= now:
        return NotifyResult.EXPIRED
    return NotifyResult.ACCEPTED


def after_event(
    saga: SagaSnapshot, definition: SagaDefinition, event: NotifyEvent, moment: Moment
) -> Transition:
    """The waiting step runs again, and finds the event in its context."""
    meta = {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "correlation_id": event.correlation_id,
    }
    payload = dict(event.payload)
    step_id = definition.steps[saga.current_step_index].step_id
    taken = {**meta, "payload": payload, "step_id": step_id}
    events = [*saga.context.get("events", ()), taken]
    context = {
        **saga.context,
        "events": events,
        "latest_event": payload,
        "latest_event_meta": meta,
    }
    return Transition(
        again(replace(saga, context=context), definition, moment).after, context=context
    )


def again(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """The current step runs again, now."""
    deadline = moment.deadline(definition.steps[saga.current_step_index])
    return Transition(_moved(saga, SagaStatus.RUNNING, moment, deadline=deadline))


def onward(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """The current step runs, or is undone, now: whichever the saga was at."""
    is_back = saga.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATING_SUSPENDED)
    status = SagaStatus.COMPENSATING if is_back else SagaStatus.RUNNING
    deadline = moment.deadline(definition.steps[saga.current_step_index])
    return Transition(_moved(saga, status, moment, deadline=deadline))


def expecting(
    saga: SagaSnapshot,
    event_types: list[str] | None,
    correlation_id: str | None,
    until: datetime | None,
    moment: Moment,
) -> Transition:
    """It waits for this event, in place of what it waited for."""
    after = _moved(saga, SagaStatus.SUSPENDED, moment, deadline=until)
    return Transition(replace(after, awaiting=awaiting_of(event_types, correlation_id)))


def after_expiry(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """The event did not come in time; the step says what follows from that."""
    step = definition.steps[saga.current_step_index]
    if step.on_timeout is OnTimeout.RETRY:
        failed = Failed(LATE, timed_out=True)
        return after_execution(saga, definition, failed, None, moment)
    entry = entry_of(saga, step, EXECUTE, "TIMEOUT", None, moment, error=LATE)
    saga = replace(saga, error=LATE)
    if step.on_timeout is OnTimeout.STOP:
        return Transition(_moved(saga, SagaStatus.TIMEOUT, moment), entry)
    if step.on_timeout is OnTimeout.COMPENSATE:
        undoing = begin_compensation(saga, definition, moment)
        if undoing is not None:
            return replace(undoing, entry=entry)
    return Transition(_moved(saga, SagaStatus.FAILED, moment), entry)


def aborted(saga: SagaSnapshot, moment: Moment) -> Transition:
    """It ends here; nothing is undone."""
    return Transition(_moved(replace(saga, error=ABORTED), SagaStatus.FAILED, moment))


# Parts of them


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


def _moved(
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
