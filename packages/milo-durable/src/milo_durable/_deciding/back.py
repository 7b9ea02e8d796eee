"""Back: what follows from undoing one, and which step is undone next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from milo_durable._deciding.transition import (
    COMPENSATE,
    EXECUTE,
    Failed,
    Moment,
    Outcome,
    Transition,
    entry_of,
    moved,
    retry_at,
)
from milo_durable.definition import SagaDefinition
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import SagaStatus


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
        return Transition(moved(saga, waiting, moment), entry)
    again_at = retry_at(step, attempt, outcome, moment)
    if again_at is None:
        return Transition(moved(saga, SagaStatus.FAILED, moment), entry)
    after = moved(saga, waiting, moment, deadline=again_at)
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
            after = moved(saga, SagaStatus.COMPENSATING, moment, deadline=deadline)
            return replace(after, current_step_index=index)
    return moved(saga, SagaStatus.COMPENSATED, moment)


def input_of_last_success(saga: SagaSnapshot, step_id: str) -> Any:
    """What the step was given when it last succeeded, as JSON."""
    for entry in reversed(saga.step_history):
        if (entry["step_id"], entry["phase"], entry["status"]) == (step_id, EXECUTE, "SUCCESS"):
            return entry["input"]
    return None


def is_undoing(saga: SagaSnapshot, definition: SagaDefinition) -> bool:
    """Whether the saga has turned back: its current step is one that was completed."""
    return definition.steps[saga.current_step_index].step_id in saga.outputs
