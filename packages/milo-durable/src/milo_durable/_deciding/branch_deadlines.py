"""Branches whose deadline passes, and what puts it off."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from milo_durable._deciding.branch_outcomes import after_branch, settled
from milo_durable._deciding.branches import (
    IN_FLIGHT,
    failed_branch,
    focused,
    only_running,
    running,
    summed_up,
    token_of,
    waits,
)
from milo_durable._deciding.transition import EXECUTE, LATE, Failed, Moment, Transition, entry_of
from milo_durable.definition import SagaDefinition, StepDefinition
from milo_durable.events import OnTimeout
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import SagaStatus


def due(
    saga: SagaSnapshot, definition: SagaDefinition, moment: Moment, *, early: bool = False
) -> Transition | None:
    """The next thing to do with branches whose deadline has passed, ``None`` if there is none.

    That is a wait that has come to nothing, or else all that is to be run again; ``early``, also
    those that wait for their next attempt.
    """
    late = {
        step_id: branch
        for step_id, branch in saga.branches.items()
        if _is_late(branch, moment)
        or (early and branch.status == SagaStatus.SUSPENDED and not waits(branch))
    }
    for step_id, branch in late.items():
        if waits(branch):
            return expired(saga, definition, step_id, moment)
    if not late:
        return None
    again = {
        step_id: taken_over(definition.steps[definition.index_of(step_id)], each, moment)
        for step_id, each in late.items()
    }
    after = summed_up(saga, definition, {**saga.branches, **again}, moment)
    return Transition(after, started=tuple(again))


def _is_late(branch: Branch, moment: Moment) -> bool:
    is_in_flight = branch.status in IN_FLIGHT
    return is_in_flight and branch.deadline_at is not None and branch.deadline_at <= moment.now


def taken_over(step: StepDefinition, before: Branch, moment: Moment) -> Branch:
    """The branch runs again; if somebody had it, that one has recorded nothing."""
    crashes = before.crash_count + 1 if before.status == SagaStatus.RUNNING else 0
    return running(step, moment, before.retry_count, crashes)


def expired(
    saga: SagaSnapshot, definition: SagaDefinition, step_id: str, moment: Moment
) -> Transition:
    """The event of this branch did not come in time; the step says what follows from that."""
    view = focused(saga, definition, step_id)
    step = definition.steps[view.current_step_index]
    if step.on_timeout is OnTimeout.RETRY:
        failed = Failed(LATE, timed_out=True)
        return after_branch(saga, definition, step_id, failed, None, moment)
    entry = entry_of(view, step, EXECUTE, "TIMEOUT", None, moment, error=LATE)
    token = token_of(step_id, moment)
    if step.on_timeout is OnTimeout.STOP:
        timed_out = Branch(SagaStatus.TIMEOUT, token, retry_count=view.retry_count, error=LATE)
        branches = {**saga.branches, step_id: timed_out}
        return Transition(summed_up(saga, definition, branches, moment), entry)
    others = {other: branch for other, branch in saga.branches.items() if other != step_id}
    branches = only_running(others) | {step_id: failed_branch(token, view.retry_count, LATE)}
    return replace(settled(saga, definition, branches, moment), entry=entry)


def put_off(
    saga: SagaSnapshot,
    definition: SagaDefinition,
    step_id: str,
    deadline: datetime,
    moment: Moment,
    *,
    is_handed_over: bool = False,
) -> Transition:
    """The branch has its deadline later, or now.

    When it is handed over, whoever takes it next would count one that has died.
    """
    before = saga.branches[step_id]
    crashes = before.crash_count - is_handed_over
    branch = replace(before, deadline_at=deadline, crash_count=crashes)
    branches = {**saga.branches, step_id: branch}
    return Transition(summed_up(saga, definition, branches, moment))
