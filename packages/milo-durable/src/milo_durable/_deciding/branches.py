"""A saga whose steps run beside each other: its row, and the view of one of its branches.

Each step in flight is a branch, with a token and a deadline of its own. Whoever drives one has a
view of the saga: the snapshot whose plain fields are the branch's. What comes of a branch is
decided from the row as it is then, since other branches may have moved it meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid5

from milo_durable._deciding.transition import Moment
from milo_durable.definition import SagaDefinition, StepDefinition
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import SagaStatus

Branches = dict[str, Branch]

IN_FLIGHT: Final = (SagaStatus.RUNNING, SagaStatus.SUSPENDED)
_FIRST_TO_LAST: Final = (
    *(SagaStatus.RUNNING, SagaStatus.SUSPENDED, SagaStatus.FAILED, SagaStatus.TIMEOUT),
)
"""Of a saga's branches, the first of these that one of them has is the saga's status."""


def focused(saga: SagaSnapshot, definition: SagaDefinition, step_id: str) -> SagaSnapshot:
    """The view of the branch of this step."""
    branch = saga.branches[step_id]
    return replace(
        saga,
        status=branch.status,
        current_step_index=definition.index_of(step_id),
        step_execution_token=branch.token,
        deadline_at=branch.deadline_at,
        retry_count=branch.retry_count,
        awaiting=branch.awaiting,
        error=branch.error,
        crash_count=branch.crash_count,
    )


def step_in_view(view: SagaSnapshot, definition: SagaDefinition) -> str:
    """The id of the step that a view is of."""
    return definition.steps[view.current_step_index].step_id


def is_held(saga: SagaSnapshot, step_id: str, token: UUID) -> bool:
    """Whether the branch of this step still has this token."""
    branch = saga.branches.get(step_id)
    return branch is not None and branch.token == token


def summed_up(
    saga: SagaSnapshot, definition: SagaDefinition, branches: Branches, moment: Moment
) -> SagaSnapshot:
    """The row with these branches, of which there is one at least."""

    def rank(step_id: str) -> tuple[bool, int, int]:
        branch = branches[step_id]
        urgency = _FIRST_TO_LAST.index(branch.status)
        return not waits(branch), urgency, definition.index_of(step_id)

    first = branches[min(branches, key=rank)]
    failed = next((each for each in branches.values() if has_failed(each)), first)
    deadlines = [
        each.deadline_at
        for each in branches.values()
        if each.status in IN_FLIGHT and each.deadline_at is not None
    ]
    return replace(
        saga,
        status=min((each.status for each in branches.values()), key=_FIRST_TO_LAST.index),
        current_step_index=definition.index_of(min(branches, key=rank)),
        step_execution_token=first.token,
        deadline_at=min(deadlines, default=None),
        retry_count=first.retry_count,
        awaiting=first.awaiting,
        error=failed.error,
        crash_count=first.crash_count,
        updated_at=moment.now,
        branches=branches,
    )


def with_ready(
    saga: SagaSnapshot, definition: SagaDefinition, branches: Branches, moment: Moment
) -> tuple[Branches, tuple[str, ...]]:
    """``branches`` and those that can run now, and the ids of these."""
    done = saga.outputs
    ready = [
        step
        for step in definition.steps
        if step.step_id not in done
        and step.step_id not in branches
        and all(definition.steps[index].step_id in done for index in step.depends_on)
    ]
    started = {step.step_id: running(step, moment) for step in ready}
    return {**branches, **started}, tuple(started)


def running(
    step: StepDefinition, moment: Moment, retry_count: int = 0, crash_count: int = 0
) -> Branch:
    return Branch(
        SagaStatus.RUNNING,
        token_of(step.step_id, moment),
        moment.deadline(step),
        retry_count=retry_count,
        crash_count=crash_count,
    )


def token_of(step_id: str, moment: Moment) -> UUID:
    return uuid5(moment.token, step_id)


def waits(branch: Branch) -> bool:
    return branch.status == SagaStatus.SUSPENDED and branch.awaiting is not None


def has_failed(branch: Branch) -> bool:
    return branch.status == SagaStatus.FAILED


def failed_branch(token: UUID, retry_count: int, error: str | None) -> Branch:
    return Branch(SagaStatus.FAILED, token, retry_count=retry_count, error=error)


def only_running(branches: Mapping[str, Branch]) -> Branches:
    return {name: each for name, each in branches.items() if each.status == SagaStatus.RUNNING}
