"""What follows from an execution of one of several steps in flight.

A step is in flight as soon as all that it depends on has completed. Once one has failed for good,
those that run are let end, nothing new is begun, and then the saga turns back as any other does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from milo_durable._deciding.back import begin_compensation
from milo_durable._deciding.branches import (
    Branches,
    failed_branch,
    focused,
    has_failed,
    only_running,
    summed_up,
    token_of,
    with_ready,
)
from milo_durable._deciding.transition import (
    EXECUTE,
    LATE,
    Failed,
    Moment,
    Outcome,
    Succeeded,
    Transition,
    awaiting_of,
    entry_of,
    retry_at,
    with_output,
)
from milo_durable.definition import SagaDefinition, StepDefinition
from milo_durable.events import OnTimeout, deadline_of
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import SagaStatus


def begun(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """The saga with all its root steps in flight; suspended until it is due, if it is."""
    branches, started = with_ready(saga, definition, {}, moment)
    if saga.status == SagaStatus.SUSPENDED:
        branches = {
            step_id: replace(each, status=SagaStatus.SUSPENDED, deadline_at=saga.deadline_at)
            for step_id, each in branches.items()
        }
        started = ()
    return Transition(summed_up(saga, definition, branches, moment), started=started)


def after_branch(
    saga: SagaSnapshot,
    definition: SagaDefinition,
    step_id: str,
    outcome: Outcome,
    given: Any,
    moment: Moment,
) -> Transition:
    """What follows from an execution of this step with the input ``given``."""
    view = focused(saga, definition, step_id)
    step = definition.steps[view.current_step_index]
    others = {other: branch for other, branch in saga.branches.items() if other != step_id}
    turned_back = any(has_failed(each) for each in others.values())
    if isinstance(outcome, Succeeded):
        entry = entry_of(view, step, EXECUTE, "SUCCESS", given, moment, output=outcome.output)
        entry["skipped"] = outcome.skipped
        saga = replace(saga, context=with_output(saga.context, step_id, outcome.output))
        started: tuple[str, ...] = ()
        if not turned_back:
            others, started = with_ready(saga, definition, others, moment)
        following = settled(saga, definition, others, moment)
        return replace(following, entry=entry, output=(step_id, outcome.output), started=started)
    if not isinstance(outcome, Failed):
        entry = entry_of(view, step, EXECUTE, "WAITING", given, moment)
        event = outcome.event
        if not turned_back:
            awaiting = awaiting_of(event.event_types, event.correlation_id)
            others[step_id] = Branch(
                SagaStatus.SUSPENDED,
                token_of(step.step_id, moment),
                deadline_of(event, moment.now),
                view.retry_count,
                awaiting,
            )
        following = settled(saga, definition, others, moment)
        return replace(following, entry=entry, outbox=event.outbox_events or ())
    status = "TIMEOUT" if outcome.timed_out else "ERROR"
    entry = entry_of(view, step, EXECUTE, status, given, moment, error=outcome.error)
    if not turned_back:
        others = _without_success(others, step, view.retry_count + 1, outcome, moment)
    return replace(settled(saga, definition, others, moment), entry=entry)


def _without_success(
    others: Branches, step: StepDefinition, attempt: int, outcome: Failed, moment: Moment
) -> Branches:
    """The step is tried again, or halted, or fails, and with it all that only waits."""
    token = token_of(step.step_id, moment)
    if outcome.halts:
        halted = Branch(SagaStatus.SUSPENDED, token, None, attempt - 1, error=outcome.error)
        return {**others, step.step_id: halted}
    again = retry_at(step, attempt, outcome, moment)
    if again is not None:
        waiting = Branch(SagaStatus.SUSPENDED, token, again, attempt, error=outcome.error)
        return {**others, step.step_id: waiting}
    return only_running(others) | {step.step_id: failed_branch(token, attempt - 1, outcome.error)}


def settled(
    saga: SagaSnapshot, definition: SagaDefinition, branches: Branches, moment: Moment
) -> Transition:
    """The saga with these branches; it ends when there are none, turns back when none runs on."""
    if not branches:
        ended = replace(
            saga,
            status=SagaStatus.COMPLETED,
            current_step_index=len(definition.steps) - 1,
            step_execution_token=moment.token,
            deadline_at=None,
            retry_count=0,
            awaiting=None,
            error=None,
            crash_count=0,
            updated_at=moment.now,
            branches={},
        )
        return Transition(ended)
    after = summed_up(saga, definition, branches, moment)
    if after.status == SagaStatus.FAILED and _is_undone(definition, branches):
        undoing = begin_compensation(after, definition, moment)
        if undoing is not None:
            return undoing
    return Transition(after)


def _is_undone(definition: SagaDefinition, branches: Branches) -> bool:
    """Whether what was completed is undone: as the step says whose event did not come, if any."""
    for step_id, branch in branches.items():
        if branch.error == LATE:
            choice = definition.steps[definition.index_of(step_id)].on_timeout
            if choice is not OnTimeout.RETRY:
                return choice is OnTimeout.COMPENSATE
    return definition.compensate_on_failure
