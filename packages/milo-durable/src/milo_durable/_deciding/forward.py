"""Forward: what follows from an execution of the current step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from milo_durable._deciding.back import begin_compensation
from milo_durable._deciding.transition import (
    EXECUTE,
    Moment,
    Outcome,
    Succeeded,
    Transition,
    Waits,
    awaiting_of,
    entry_of,
    moved,
    retry_at,
    with_output,
)
from milo_durable.definition import SagaDefinition, StepDefinition
from milo_durable.events import deadline_of
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import SagaStatus


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
        after = moved(saga, SagaStatus.SUSPENDED, moment, deadline=until)
        after = replace(after, awaiting=awaiting)
        return Transition(after, entry, outbox=outcome.event.outbox_events or ())
    status = "TIMEOUT" if outcome.timed_out else "ERROR"
    entry = entry_of(saga, step, EXECUTE, status, given, moment, error=outcome.error)
    if outcome.halts:
        after = moved(saga, SagaStatus.SUSPENDED, moment)
        return Transition(replace(after, error=outcome.error), entry)
    again_at = retry_at(step, attempt, outcome, moment)
    if again_at is not None:
        after = moved(saga, SagaStatus.SUSPENDED, moment, deadline=again_at)
        return Transition(replace(after, retry_count=attempt, error=outcome.error), entry)
    failed = replace(saga, error=outcome.error)
    if definition.compensate_on_failure:
        undoing = begin_compensation(failed, definition, moment)
        if undoing is not None:
            return replace(undoing, entry=entry)
    return Transition(moved(failed, SagaStatus.FAILED, moment), entry)


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
        after = moved(saga, SagaStatus.COMPLETED, moment, **changes)
    else:
        deadline = moment.deadline(definition.steps[following])
        changes["current_step_index"] = following
        after = moved(saga, SagaStatus.RUNNING, moment, deadline, **changes)
    return Transition(after, entry, output=(step.step_id, output))
