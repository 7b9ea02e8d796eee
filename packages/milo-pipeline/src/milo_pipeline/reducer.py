"""The compiled reducer: which action takes a run from one state to the next.

A phase goes from pending to running (to retrying and back) to completed, failed or
skipped. It then stays what it is until the next ``@@PIPELINE_START``, so whatever
arrives late cannot hide a failure. The pipeline is failed from its first failed phase on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from milo_core import Action
from milo_pipeline import actions
from milo_pipeline._chunks import Chunks, count, item_at, replaced, split
from milo_pipeline._lines import line_count, with_line
from milo_pipeline.errors import DefinitionError
from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import PhaseLog, PhaseStatus, phase_status
from milo_pipeline.state import PipelineState, Underway, advanced, members
from milo_pipeline.statuses import (
    CANCELLED,
    COMPLETED,
    DONE,
    ENDED,
    FAILED,
    PENDING,
    RETRYING,
    RUNNING,
    SKIPPED,
    UNDERWAY,
    PhaseStatusName,
    PipelineStatusName,
)

Reducer: TypeAlias = Callable[[PipelineState | None, Action], PipelineState]
Facts: TypeAlias = Mapping[str, Any]

_MOVES: Final[dict[str, PhaseStatusName]] = {
    actions.PHASE_START: RUNNING,
    actions.PHASE_RETRY: RETRYING,
    actions.PHASE_COMPLETE: COMPLETED,
    actions.PHASE_FAILED: FAILED,
    actions.PHASE_SKIPPED: SKIPPED,
}
_WORDS: Final = frozenset(_MOVES.values())


def make_reducer(plan: Plan, name: str) -> Reducer:
    """A pure reducer for runs of ``plan``, under the pipeline's ``name``.

    A state of ``None`` becomes one in which all phases are pending. An action that says
    nothing about this pipeline, for instance one about a phase it does not have, gives
    back the very state it was given. Times come from the action's ``at``; without it the
    latest time of the run counts. Every event costs the same, however many phases there are.

    Raises (when called):
        DefinitionError: the state is one of other phases.
        TypeError: a time is no number.
    """
    return _PipelineReducer(plan, name)


class _PipelineReducer:
    """The plan, and a table from action type to what it does; no state of its own."""

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan = plan
        self._name = name
        self._index = plan.index
        self._weights = [phase.weight for phase in plan.phases]
        self._total_weight = sum(self._weights)
        self._max_logs = [phase.max_logs for phase in plan.phases]
        self._pending = split(tuple(PhaseStatus(phase.name) for phase in plan.phases))
        self._fresh = self._run(status=PENDING, started_at=0.0)
        self._changes: dict[str, Callable[[PipelineState, Facts], PipelineState]] = {
            actions.PHASE_LOG: self._phase_logged,
            actions.PHASE_MAPPED: self._phase_mapped,
            actions.PHASE_ITEM: self._item_moved,
            actions.PIPELINE_START: self._started,
            actions.PIPELINE_COMPLETE: self._completed,
            actions.PIPELINE_CANCELLED: self._cancelled,
        }

    def __call__(self, state: PipelineState | None, action: Action) -> PipelineState:
        if state is None:
            state = self._fresh
        to = _MOVES.get(action.type)
        if to is not None:
            return self._phase_moved(state, _facts(action.payload), to)
        change = self._changes.get(action.type)
        return state if change is None else change(state, _facts(action.payload))

    # One phase

    def _phase_moved(
        self, state: PipelineState, facts: Facts, to: PhaseStatusName
    ) -> PipelineState:
        """Any change of a phase's status; an ended phase changes no more."""
        index = self._index.get(facts.get("name", ""))
        if index is None:
            return state
        done = self._done_weight(state)
        before = item_at(state._pieces, index)
        if before.status in ENDED:
            return state
        at = _seconds(facts.get("at"), state)
        after = _moved(before, to, facts, at)
        pieces = replaced(state._pieces, index, after)
        underway = _underway_with(state._underway, pieces, index, before.status, to)
        if to in DONE:
            done += self._weights[index]
        if to == FAILED and state.status != FAILED:
            return self._next(state, at, pieces, underway, done, FAILED, after.error)
        return self._next(state, at, pieces, underway, done, state.status, state.error)

    def _phase_logged(self, state: PipelineState, facts: Facts) -> PipelineState:
        """One more line, also after the phase has ended; the oldest beyond ``max_logs`` go."""
        index = self._index.get(facts.get("name", ""))
        if index is None or self._max_logs[index] == 0:
            return state
        done = self._done_weight(state)
        at = _seconds(facts.get("at", facts.get("timestamp")), state)
        after = _logged(item_at(state._pieces, index), facts, at, self._max_logs[index])
        pieces = replaced(state._pieces, index, after)
        return self._next(state, at, pieces, state._underway, done, state.status, state.error)

    def _phase_mapped(self, state: PipelineState, facts: Facts) -> PipelineState:
        """A phase has learned its items: each gets a status."""
        index = self._index.get(facts.get("name", ""))
        if index is None or item_at(state._pieces, index).status in ENDED:
            return state
        before = item_at(state._pieces, index)
        names = range(int(facts.get("count", 0)))
        items = split(tuple(PhaseStatus(f"{before.name}[{i}]") for i in names))
        return self._with_items(state, facts, index, items)

    def _item_moved(self, state: PipelineState, facts: Facts) -> PipelineState:
        """Any change of an item's status; an ended item changes no more."""
        index = self._index.get(facts.get("name", ""))
        number, to = facts.get("item"), facts.get("status", "")
        if index is None or to not in _WORDS or not isinstance(number, int):
            return state
        items = item_at(state._pieces, index)._pieces
        if not 0 <= number < count(items) or item_at(items, number).status in ENDED:
            return state
        at = _seconds(facts.get("at"), state)
        after = _moved(item_at(items, number), to, facts, at)
        return self._with_items(state, facts, index, replaced(items, number, after))

    def _with_items(
        self, state: PipelineState, facts: Facts, index: int, items: Chunks[PhaseStatus]
    ) -> PipelineState:
        done = self._done_weight(state)
        at = _seconds(facts.get("at"), state)
        pieces = replaced(state._pieces, index, _itemized(item_at(state._pieces, index), items))
        return self._next(state, at, pieces, state._underway, done, state.status, state.error)

    # The pipeline

    def _started(self, state: PipelineState, facts: Facts) -> PipelineState:
        """Begin, and begin afresh in a store where an earlier run has ended."""
        return self._run(status=RUNNING, started_at=_seconds(facts.get("at"), state))

    def _completed(self, state: PipelineState, facts: Facts) -> PipelineState:
        done = self._done_weight(state)
        at = _seconds(facts.get("at"), state)
        status = state.status if state.status == FAILED else COMPLETED
        return self._next(state, at, state._pieces, state._underway, done, status, state.error)

    def _cancelled(self, state: PipelineState, facts: Facts) -> PipelineState:
        """Fail the run and whatever has begun, unless it was completed before."""
        if state.status == COMPLETED:
            return state
        done = self._done_weight(state)
        at = _seconds(facts.get("at"), state)
        pieces = state._pieces
        for index in members(state._underway):
            before = item_at(pieces, index)
            if before.status in UNDERWAY:
                after = _moved(before, FAILED, {"error": CANCELLED}, at)
                pieces = replaced(pieces, index, after)
        error = state.error if state.status == FAILED else CANCELLED
        return self._next(state, at, pieces, None, done, FAILED, error)

    # The next state

    def _run(self, status: PipelineStatusName, started_at: float) -> PipelineState:
        pieces = self._pending
        return advanced(self._plan, self._name, pieces, None, 0, started_at, 0.0, 0.0, status, "")

    def _next(
        self,
        state: PipelineState,
        at: float,
        pieces: Chunks[PhaseStatus],
        underway: Underway,
        done: int,
        status: PipelineStatusName,
        error: str,
    ) -> PipelineState:
        """``state`` with these changes, its clock put forward and its progress worked out."""
        started_at, elapsed = state.started_at, state.elapsed
        if state.status in (RUNNING, FAILED):
            elapsed = max(elapsed, at - started_at)
        elif state.status == PENDING and status != PENDING:  # it ends without having begun
            started_at = at
        if status == COMPLETED:
            progress = 1.0
        else:
            progress = done / self._total_weight if self._total_weight else 0.0
        return advanced(
            self._plan,
            self._name,
            pieces,
            underway,
            done,
            started_at,
            elapsed,
            progress,
            status,
            error,
        )

    def _done_weight(self, state: PipelineState) -> int:
        """Kept from event to event; worked out for a state that came from elsewhere."""
        if state._plan is self._plan:
            return state._done_weight
        names = [phase.name for phase in state.phases]
        if names != [phase.name for phase in self._plan.phases]:
            raise DefinitionError(
                f"the state of pipeline {state.name!r} does not have the phases of pipeline "
                f"{self._name!r} in their order; begin with None or a state of this pipeline"
            )
        return sum(
            weight
            for weight, phase in zip(self._weights, state.phases, strict=True)
            if phase.status in DONE
        )


def _moved(before: PhaseStatus, to: PhaseStatusName, facts: Facts, at: float) -> PhaseStatus:
    """``before`` on its way to ``to``: begun at its first attempt, or now."""
    attempt = before.attempt + 1 if to == RUNNING else before.attempt
    if before.status == PENDING:
        started_at, elapsed = at, 0.0
    else:
        started_at, elapsed = before.started_at, max(before.elapsed, at - before.started_at)
    return phase_status(
        before.name,
        to,
        started_at,
        elapsed,
        str(facts.get("error", "")),
        facts.get("attempt", attempt),
        before._lines,
        before.logs_dropped,
        before._pieces,
    )


def _itemized(before: PhaseStatus, items: Chunks[PhaseStatus]) -> PhaseStatus:
    """``before`` with these statuses of its items."""
    return phase_status(
        before.name,
        before.status,
        before.started_at,
        before.elapsed,
        before.error,
        before.attempt,
        before._lines,
        before.logs_dropped,
        items,
    )


def _logged(before: PhaseStatus, facts: Facts, at: float, max_logs: int) -> PhaseStatus:
    """``before`` with one more line; the time it has taken grows while it runs."""
    elapsed = before.elapsed
    if before.status in UNDERWAY:
        elapsed = max(elapsed, at - before.started_at)
    line = PhaseLog(
        facts.get("line", ""), facts.get("stream", "stdout"), facts.get("timestamp", at)
    )
    return phase_status(
        before.name,
        before.status,
        before.started_at,
        elapsed,
        before.error,
        before.attempt,
        with_line(before._lines, line, max_logs),
        before.logs_dropped + (line_count(before._lines) >= max_logs),
        before._pieces,
    )


def _underway_with(
    underway: Underway,
    pieces: Chunks[PhaseStatus],
    index: int,
    before: PhaseStatusName,
    after: PhaseStatusName,
) -> Underway:
    """``underway`` once phase ``index`` has moved; its head still runs."""
    if after in UNDERWAY:
        return underway if before in UNDERWAY else (index, underway)
    while underway is not None and item_at(pieces, underway[0]).status not in UNDERWAY:
        underway = underway[1]
    return underway


def _facts(payload: Any) -> Facts:
    """A payload's facts, also those of the short forms: a bare name, a bare time."""
    if type(payload) is dict or isinstance(payload, Mapping):  # the ABC's check is slow
        return payload
    if isinstance(payload, str):
        return {"name": payload}
    if isinstance(payload, int | float):
        return {"at": payload}
    return {}


def _seconds(given: object, state: PipelineState) -> float:
    """The time an action gives, or the latest one seen."""
    if type(given) is float:
        return given
    if given is None:
        return state.started_at + state.elapsed
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"'at' must be a time in monotonic seconds, not {given!r}")
    return float(given)
