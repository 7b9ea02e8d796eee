"""From outside: events, waits that come to nothing, and what operators ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from milo_durable._deciding.back import begin_compensation
from milo_durable._deciding.forward import after_execution
from milo_durable._deciding.transition import (
    ABORTED,
    EXECUTE,
    LATE,
    Failed,
    Moment,
    Transition,
    awaiting_of,
    entry_of,
    moved,
)
from milo_durable.definition import SagaDefinition
from milo_durable.events import NotifyEvent, NotifyResult, OnTimeout
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import SagaStatus


def input_of_last_attempt(saga: SagaSnapshot, step_id: str) -> Any:
    """What the step was given last, as JSON, whatever came of it."""
    for entry in reversed(saga.step_history):
        if (entry["step_id"], entry["phase"]) == (step_id, EXECUTE) and entry["input"] is not None:
            return entry["input"]
    return None


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
    return Transition(moved(saga, SagaStatus.RUNNING, moment, deadline=deadline))


def onward(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """The current step runs, or is undone, now: whichever the saga was at."""
    is_back = saga.status in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATING_SUSPENDED)
    status = SagaStatus.COMPENSATING if is_back else SagaStatus.RUNNING
    deadline = moment.deadline(definition.steps[saga.current_step_index])
    return Transition(moved(saga, status, moment, deadline=deadline))


def expecting(
    saga: SagaSnapshot,
    event_types: list[str] | None,
    correlation_id: str | None,
    until: datetime | None,
    moment: Moment,
) -> Transition:
    """It waits for this event, in place of what it waited for."""
    after = moved(saga, SagaStatus.SUSPENDED, moment, deadline=until)
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
        return Transition(moved(saga, SagaStatus.TIMEOUT, moment), entry)
    if step.on_timeout is OnTimeout.COMPENSATE:
        undoing = begin_compensation(saga, definition, moment)
        if undoing is not None:
            return replace(undoing, entry=entry)
    return Transition(moved(saga, SagaStatus.FAILED, moment), entry)


def aborted(saga: SagaSnapshot, moment: Moment) -> Transition:
    """It ends here; nothing is undone."""
    return Transition(moved(replace(saga, error=ABORTED), SagaStatus.FAILED, moment))
