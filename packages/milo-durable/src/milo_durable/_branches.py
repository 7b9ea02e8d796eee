"""Sagas whose steps run beside each other: pure functions, as in ``_decisions``.

Each step in flight is a branch, with a token and a deadline of its own. Whoever drives one has a
view of the saga: the snapshot whose plain fields are the branch's. What comes of a branch is
decided from the row as it is then, since other branches may have moved it meanwhile. A step is
in flight as soon as all that it depends on has completed. Once one has failed for good, those
that run are let end, nothing new is begun, and then the saga turns back as any other does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from milo_durable._decisions import (
    EXECUTE,
    LATE,
    Failed,
    Moment,
    Outcome,
    Succeeded,
    Transition,
    after_event,
    awaiting_of,
    begin_compensation,
    entry_of,
    expecting,
    judge_event,
    retry_at,
    with_output,
)
from milo_durable.definition import SagaDefinition, StepDefinition
from milo_durable.errors import SagaStateError
from milo_durable.events import NotifyEvent, NotifyResult, OnTimeout, deadline_of
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import SagaStatus

Branches = dict[str, Branch]

_IN_FLIGHT: Final = (SagaStatus.RUNNING, SagaStatus.SUSPENDED)
_FIRST_TO_LAST: Final = (
    *(SagaStatus.RUNNING, SagaStatus.SUSPENDED, SagaStatus.FAILED, SagaStatus.TIMEOUT),
)
"""Of a saga's branches, the first of these that one of them has is the saga's status."""


# The row and its branches


def begun(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """The saga with all its root steps in flight; suspended until it is due, if it is."""
    branches, started = _with_ready(saga, definition, {}, moment)
    if saga.status == SagaStatus.SUSPENDED:
        branches = {
            step_id: replace(each, status=SagaStatus.SUSPENDED, deadline_at=saga.deadline_at)
            for step_id, each in branches.items()
        }
        started = ()
    return Transition(_summed_up(saga, definition, branches, moment), started=started)


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


def _summed_up(
    saga: SagaSnapshot, definition: SagaDefinition, branches: Branches, moment: Moment
) -> SagaSnapshot:
    """The row with these branches, of which there is one at least."""

    def rank(step_id: str) -> tuple[bool, int, int]:
        branch = branches[step_id]
        urgency = _FIRST_TO_LAST.index(branch.status)
        return not _waits(branch), urgency, definition.index_of(step_id)

    first = branches[min(branches, key=rank)]
    failed = next((each for each in branches.values() if _has_failed(each)), first)
    deadlines = [
        each.deadline_at
        for each in branches.values()
        if each.status in _IN_FLIGHT and each.deadline_at is not None
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


def _with_ready(
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
    started = {step.step_id: _running(step, moment) for step in ready}
    return {**branches, **started}, tuple(started)


def _running(
    step: StepDefinition, moment: Moment, retry_count: int = 0, crash_count: int = 0
) -> Branch:
    return Branch(
        SagaStatus.RUNNING,
        _token_of(step.step_id, moment),
        moment.deadline(step),
        retry_count=retry_count,
        crash_count=crash_count,
    )


def _taken_over(step: StepDefinition, before: Branch, moment: Moment) -> Branch:
    """The branch runs again; if somebody had it, that one has recorded nothing."""
    crashes = before.crash_count + 1 if before.status == SagaStatus.RUNNING else 0
    return _running(step, moment, before.retry_count, crashes)


def _token_of(step_id: str, moment: Moment) -> UUID:
    return uuid5(moment.token, step_id)


def _waits(branch: Branch) -> bool:
    return branch.status == SagaStatus.SUSPENDED and branch.awaiting is not None


def _has_failed(branch: Branch) -> bool:
    return branch.status == SagaStatus.FAILED


# What comes of a step


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
    turned_back = any(_has_failed(each) for each in others.values())
    if isinstance(outcome, Succeeded):
        entry = entry_of(view, step, EXECUTE, "SUCCESS", given, moment, output=outcome.output)
        entry["skipped"] = outcome.skipped
        saga = replace(saga, context=with_output(saga.context, step_id, outcome.output))
        started: tuple[str, ...] = ()
        if not turned_back:
            others, started = _with_ready(saga, definition, others, moment)
        following = _settled(saga, definition, others, moment)
        return replace(following, entry=entry, output=(step_id, outcome.output), started=started)
    if not isinstance(outcome, Failed):
        entry = entry_of(view, step, EXECUTE, "WAITING", given, moment)
        event = outcome.event
        if not turned_back:
            awaiting = awaiting_of(event.event_types, event.correlation_id)
            others[step_id] = Branch(
                SagaStatus.SUSPENDED,
                _token_of(step.step_id, moment),
                deadline_of(event, moment.now),
                view.retry_count,
                awaiting,
            )
        following = _settled(saga, definition, others, moment)
        return replace(following, entry=entry, outbox=event.outbox_events or ())
    status = "TIMEOUT" if outcome.timed_out else "ERROR"
    entry = entry_of(view, step, EXECUTE, status, given, moment, error=outcome.error)
    if not turned_back:
        others = _without_success(others, step, view.retry_count + 1, outcome, moment)
    return replace(_settled(saga, definition, others, moment), entry=entry)


def _without_success(
    others: Branches, step: StepDefinition, attempt: int, outcome: Failed, moment: Moment
) -> Branches:
    """The step is tried again, or halted, or fails, and with it all that only waits."""
    token = _token_of(step.step_id, moment)
    if outcome.halts:
        halted = Branch(SagaStatus.SUSPENDED, token, None, attempt - 1, error=outcome.error)
        return {**others, step.step_id: halted}
    again = retry_at(step, attempt, outcome, moment)
    if again is not None:
        waiting = Branch(SagaStatus.SUSPENDED, token, again, attempt, error=outcome.error)
        return {**others, step.step_id: waiting}
    return _only_running(others) | {step.step_id: _failed(token, attempt - 1, outcome.error)}


def _only_running(branches: Mapping[str, Branch]) -> Branches:
    return {name: each for name, each in branches.items() if each.status == SagaStatus.RUNNING}


def _failed(token: UUID, retry_count: int, error: str | None) -> Branch:
    return Branch(SagaStatus.FAILED, token, retry_count=retry_count, error=error)


def _settled(
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
    after = _summed_up(saga, definition, branches, moment)
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


# What is due, and what puts it off


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
        or (early and branch.status == SagaStatus.SUSPENDED and not _waits(branch))
    }
    for step_id, branch in late.items():
        if _waits(branch):
            return expired(saga, definition, step_id, moment)
    if not late:
        return None
    again = {
        step_id: _taken_over(definition.steps[definition.index_of(step_id)], each, moment)
        for step_id, each in late.items()
    }
    after = _summed_up(saga, definition, {**saga.branches, **again}, moment)
    return Transition(after, started=tuple(again))


def _is_late(branch: Branch, moment: Moment) -> bool:
    is_in_flight = branch.status in _IN_FLIGHT
    return is_in_flight and branch.deadline_at is not None and branch.deadline_at <= moment.now


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
    token = _token_of(step_id, moment)
    if step.on_timeout is OnTimeout.STOP:
        timed_out = Branch(SagaStatus.TIMEOUT, token, retry_count=view.retry_count, error=LATE)
        branches = {**saga.branches, step_id: timed_out}
        return Transition(_summed_up(saga, definition, branches, moment), entry)
    others = {other: branch for other, branch in saga.branches.items() if other != step_id}
    branches = _only_running(others) | {step_id: _failed(token, view.retry_count, LATE)}
    return replace(_settled(saga, definition, branches, moment), entry=entry)


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
    return Transition(_summed_up(saga, definition, branches, moment))


# From outside


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
    step = definition.steps[definition.index_of(step_id)]
    branch = _running(step, moment, saga.branches[step_id].retry_count)
    saga = replace(saga, context=following.after.context)
    after = _summed_up(saga, definition, {**saga.branches, step_id: branch}, moment)
    return replace(following, after=after, started=(step_id,))


def run_again(
    saga: SagaSnapshot, definition: SagaDefinition, step_id: str, moment: Moment
) -> Transition:
    """The step runs again, now."""
    step = definition.steps[definition.index_of(step_id)]
    branch = _running(step, moment, saga.branches[step_id].retry_count)
    branches = {**saga.branches, step_id: branch}
    return Transition(_summed_up(saga, definition, branches, moment), started=(step_id,))


def run_all_again(saga: SagaSnapshot, definition: SagaDefinition, moment: Moment) -> Transition:
    """All that can run does, of a saga that has failed; attempts are counted on."""
    branches, started = _with_ready(saga, definition, {}, moment)
    for step_id, before in saga.branches.items():
        branches[step_id] = replace(branches[step_id], retry_count=before.retry_count)
    return Transition(_summed_up(saga, definition, branches, moment), started=started)


def aborted_branches(
    saga: SagaSnapshot, definition: SagaDefinition, error: str, moment: Moment
) -> Transition:
    """All its branches have failed, and nobody holds their tokens any more."""
    branches = {
        step_id: _failed(_token_of(step_id, moment), branch.retry_count, error)
        for step_id, branch in saga.branches.items()
    }
    return Transition(_summed_up(saga, definition, branches, moment))


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
    view = focused(saga, definition, step_id)
    step = definition.steps[view.current_step_index]
    own = replace(moment, token=_token_of(step.step_id, moment))
    waiting = expecting(view, event_types, correlation_id, until, own).after
    branch = replace(
        saga.branches[step_id],
        token=waiting.step_execution_token,
        deadline_at=until,
        awaiting=waiting.awaiting,
    )
    branches = {**saga.branches, step_id: branch}
    return Transition(_summed_up(saga, definition, branches, moment))


def chosen_step(
    saga: SagaSnapshot,
    definition: SagaDefinition,
    step_id: str | None,
    allowed: Sequence[SagaStatus],
    asked: str,
) -> str:
    """The id of the step that is meant: ``step_id``, or the only one in an allowed status.

    Raises:
        SagaStateError: there is no such step in flight, or several.
        SagaDefinitionError: the saga has no step ``step_id``.
    """
    if step_id is not None:
        definition.index_of(step_id)
    branches = saga.branches
    if not branches:
        current = step_in_view(saga, definition)
        branches = {current: Branch(saga.status, saga.step_execution_token)}
    fitting = [each for each in sorted(branches) if branches[each].status in allowed]
    if step_id is None and len(fitting) == 1:
        return fitting[0]
    if step_id is None and fitting:
        hint = f"say which step is meant: step_id= one of {', '.join(fitting)}"
        raise SagaStateError(saga.id, saga.status, asked, hint)
    if step_id is None:
        hint = f"that is for {'steps' if saga.branches else 'sagas'} in {', '.join(allowed)}"
        raise SagaStateError(saga.id, saga.status, asked, hint)
    if step_id in fitting:
        return step_id
    stand = ", ".join(f"{each} is {branch.status}" for each, branch in sorted(branches.items()))
    hint = f"step {step_id} is not in {' or '.join(allowed)}; of those in flight, {stand}"
    raise SagaStateError(saga.id, saga.status, asked, hint)
