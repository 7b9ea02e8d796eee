"""From outside, for branches: events, and what operators ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from milo_durable._deciding.branches import (
    failed_branch,
    focused,
    running,
    summed_up,
    token_of,
    with_ready,
)
from milo_durable._deciding.outside import after_event, judge_event
from milo_durable._deciding.transition import ABORTED, Moment, Transition, awaiting_of
from milo_durable.definition import SagaDefinition
from milo_durable.events import NotifyEvent, NotifyResult
from milo_durable.snapshot import SagaSnapshot


def accept(
    saga: SagaSnapshot,
    definition_of: Callable[[SagaSnapshot], SagaDefinition],
    token: UUID | None,
    event: NotifyEvent,
    moment: Moment,
) -> tuple[NotifyResult, Transition | None]:
    """Whether the saga, or one of its branches, takes the event, and what follows if so.

    ``token`` is not asked for events of the inbox: the first branch that waits for it takes it.
    """
    if not saga.branches:
        result = judge_event(saga, token, event, moment.now)
        return result, after_event(saga, definition_of(saga), event, moment) if result else None
    definition = definition_of(saga)
    result = NotifyResult.NOT_WAITING
    for step_id in sorted(saga.branches, key=definition.index_of):
        view = focused(saga, definition, step_id)
        judged = judge_event(view, token, event, moment.now)
        if judged:
            following = after_event(view, definition, event, moment)
            return judged, _again(saga, definition, step_id, following, moment)
        if result in (NotifyResult.NOT_WAITING, NotifyResult.STALE_TOKEN):
            result = result if judged is NotifyResult.NOT_WAITING else judged
    return result, None


def _again(
    saga: SagaSnapshot,
    definition: SagaDefinition,
    step_id: str,
    following: Transition,
    moment: Moment,
) -> Transition:
    """The branch runs again, with what ``following`` says of the context."""
    saga = replace(saga, context=following.after.context)
    run = run_again(saga, definition, step_id, moment)
    return replace(following, after=run.after, started=run.started)


def run_again(
    saga: SagaSnapshot, definition: SagaDefinition, step_id: str, moment: Moment
) -> Transition:
    """The step runs again, now."""
    step = definition.steps[definition.index_of(step_id)]
    branch = running(step, moment, saga.branches[step_id].retry_count)
    branches = {**saga.branches, step_id: branch}
    return Transition(summed_up(saga, definition, branches, moment), started=(step_id,))


def run_all_again(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """All that can run does, of a saga that has failed; attempts are counted on."""
    branches, started = with_ready(saga, definition, {}, moment)
    for step_id, before in saga.branches.items():
        branches[step_id] = replace(branches[step_id], retry_count=before.retry_count)
    return Transition(summed_up(saga, definition, branches, moment), started=started)


def aborted_branches(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """All its branches have failed, and nobody holds their tokens any more."""
    branches = {
        step_id: failed_branch(token_of(step_id, moment), branch.retry_count, ABORTED)
        for step_id, branch in saga.branches.items()
    }
    return Transition(summed_up(saga, definition, branches, moment))


def expecting_branch(
    saga: SagaSnapshot,
    definition: SagaDefinition,
    step_id: str,
    event_types: list[str] | None,
    correlation_id: str | None,
    until: datetime | None,
    moment: Moment,
) -> Transition:
    """The branch waits for this event, in place of what it waited for."""
    branch = replace(
        saga.branches[step_id],
        token=token_of(step_id, moment),
        deadline_at=until,
        awaiting=awaiting_of(event_types, correlation_id),
    )
    branches = {**saga.branches, step_id: branch}
    return Transition(summed_up(saga, definition, branches, moment))
