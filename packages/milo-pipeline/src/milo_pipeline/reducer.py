"""The compiled reducer: which action takes a run from one state to the next.

A phase goes from pending to running (to retrying and back) to completed, failed or
skipped. It then stays what it is until the next ``@@PIPELINE_START``, so whatever
arrives late cannot hide a failure. The pipeline is failed from its first failed phase on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from milo_core import Action
from milo_pipeline import actions
from milo_pipeline._chunks import Chunks, count, item_at, replaced, split
from milo_pipeline._lines import line_count, with_line
from milo_pipeline.errors import DefinitionError
from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import KeptPhase, PhaseStatus, pending, phase_line, phase_status
from milo_pipeline.state import KeptRun, PipelineState, Underway, members, pipeline_state
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
_TIMED: Final = frozenset((RUNNING, FAILED))
"""The statuses of a run whose clock goes on, also after a failure."""


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
    """The plan, and a table from action type to what it does; no state of its own.

    It reads and makes what states keep (``KeptRun``, ``KeptPhase``); their fields are for others.
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self._plan = plan
        self._name = name
        self._index = plan.index
        self._weights = [phase.weight for phase in plan.phases]
        self._max_logs = [phase.max_logs for phase in plan.phases]
        self._pending = split(tuple(pending(phase.name) for phase in plan.phases))
        self._fresh = self._run(status=PENDING, started_at=0.0)
        self._changes: dict[str, Callable[[KeptRun, Facts], PipelineState | None]] = {
            **{kind: partial(self._phase_moved, to) for kind, to in _MOVES.items()},
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
        change = self._changes.get(action.type)
        if change is None:
            return state
        kept, facts = state._kept, action.payload
        if kept[0] is not self._plan:
            kept = self._adopted(state)
        if type(facts) is not dict:
            facts = _facts(facts)
        after = change(kept, facts)
        return state if after is None else after

    def _adopted(self, state: PipelineState) -> KeptRun:
        """What a ``state`` from elsewhere keeps, the weight done worked out."""
        kept = state._kept
        names = [phase.name for phase in state.phases]
        if names != [phase.name for phase in self._plan.phases]:
            raise DefinitionError(
                f"the state of pipeline {state.name!r} does not have the phases of pipeline "
                f"{self._name!r} in their order; begin with None or a state of this pipeline"
            )
        done = sum(
            weight
            for weight, phase in zip(self._weights, state.phases, strict=True)
            if phase.status in DONE
        )
        return (self._plan, self._name, kept[2], kept[3], done, *kept[5:])

    # One phase: the next state, or ``None`` if there is nothing to change

    def _phase_moved(self, to: PhaseStatusName, run: KeptRun, facts: Facts) -> PipelineState | None:
        """Any change of a phase's status; an ended phase changes no more."""
        index = self._index.get(facts.get("name", ""))
        if index is None:
            return None
        plan, name, pieces, underway, done, started_at, elapsed, status, error = run
        before = item_at(pieces, index)._kept
        if before[1] in ENDED:
            return None
        at = _seconds(facts.get("at"), run)
        after = _moved(before, to, facts, at)
        pieces = replaced(pieces, index, phase_status(after))
        if to not in UNDERWAY or before[1] not in UNDERWAY:
            underway = _underway_with(underway, pieces, index, to)
        if to in DONE:
            done += self._weights[index]
        elif to == FAILED and status != FAILED:
            started_at, elapsed = _time_of_end(run, at)
            return pipeline_state(
                (plan, name, pieces, underway, done, started_at, elapsed, FAILED, after[4])
            )
        if status in _TIMED and at - started_at > elapsed:
            elapsed = at - started_at
        return pipeline_state(
            (plan, name, pieces, underway, done, started_at, elapsed, status, error)
        )

    def _phase_logged(self, run: KeptRun, facts: Facts) -> PipelineState | None:
        """One more line, also after the phase has ended; the oldest beyond ``max_logs`` go."""
        index = self._index.get(facts.get("name", ""))
        if index is None or not (most := self._max_logs[index]):
            return None
        at = facts.get("at", facts.get("timestamp"))
        if type(at) is not float:
            at = _seconds(at, run)
        return _with_phase(run, index, _logged(item_at(run[2], index)._kept, facts, at, most), at)

    def _phase_mapped(self, run: KeptRun, facts: Facts) -> PipelineState | None:
        """A phase has learned its items: each gets a status."""
        index = self._index.get(facts.get("name", ""))
        if index is None:
            return None
        before = item_at(run[2], index)._kept
        if before[1] in ENDED:
            return None
        names = range(int(facts.get("count", 0)))
        items = split(tuple(pending(f"{before[0]}[{i}]") for i in names))
        return _with_phase(
            run, index, (*before[:8], items, before[9]), _seconds(facts.get("at"), run)
        )

    def _item_moved(self, run: KeptRun, facts: Facts) -> PipelineState | None:
        """Any change of an item's status; an ended item changes no more."""
        index = self._index.get(facts.get("name", ""))
        number, to = facts.get("item"), facts.get("status", "")
        if index is None or to not in _WORDS or not isinstance(number, int):
            return None
        phase = item_at(run[2], index)._kept
        items = phase[8]
        if not 0 <= number < count(items):
            return None
        before = item_at(items, number)._kept
        if before[1] in ENDED:
            return None
        at = _seconds(facts.get("at"), run)
        items = replaced(items, number, phase_status(_moved(before, to, facts, at)))
        return _with_phase(run, index, (*phase[:8], items, phase[9]), at)

    # The pipeline

    def _started(self, run: KeptRun, facts: Facts) -> PipelineState:
        """Begin, and begin afresh in a store where an earlier run has ended."""
        return self._run(status=RUNNING, started_at=_seconds(facts.get("at"), run))

    def _completed(self, run: KeptRun, facts: Facts) -> PipelineState:
        status: PipelineStatusName = FAILED if run[7] == FAILED else COMPLETED
        times = _time_of_end(run, _seconds(facts.get("at"), run))
        return pipeline_state((*run[:5], *times, status, run[8]))

    def _cancelled(self, run: KeptRun, facts: Facts) -> PipelineState | None:
        """Fail the run and whatever has begun, unless it was completed before."""
        plan, name, pieces, underway, done, _, _, status, error = run
        if status == COMPLETED:
            return None
        at = _seconds(facts.get("at"), run)
        for index in members(underway):
            before = item_at(pieces, index)._kept
            if before[1] in UNDERWAY:
                after = _moved(before, FAILED, {"error": CANCELLED}, at)
                pieces = replaced(pieces, index, phase_status(after))
        error = error if status == FAILED else CANCELLED
        times = _time_of_end(run, at)
        return pipeline_state((plan, name, pieces, None, done, *times, FAILED, error))

    def _run(self, status: PipelineStatusName, started_at: float) -> PipelineState:
        return pipeline_state(
            (self._plan, self._name, self._pending, None, 0, started_at, 0.0, status, "")
        )


def _with_phase(run: KeptRun, index: int, phase: KeptPhase, at: float) -> PipelineState:
    """``run`` at the time ``at``, one of its phases changed, whose status has not."""
    plan, name, pieces, underway, done, started_at, elapsed, status, error = run
    if status in _TIMED and at - started_at > elapsed:
        elapsed = at - started_at
    pieces = replaced(pieces, index, phase_status(phase))
    return pipeline_state((plan, name, pieces, underway, done, started_at, elapsed, status, error))


def _time_of_end(run: KeptRun, at: float) -> tuple[float, float]:
    """When a run began that ends at the time ``at``, perhaps without having begun; its length."""
    started_at, elapsed, status = run[5:8]
    if status in _TIMED:
        return started_at, max(elapsed, at - started_at)
    return (at if status == PENDING else started_at), elapsed


def _moved(before: KeptPhase, to: PhaseStatusName, facts: Facts, at: float) -> KeptPhase:
    """``before`` on its way to ``to``: begun at its first attempt, or now."""
    name, status, started_at, elapsed, _, attempt, lines, dropped, pieces, _ = before
    if to == RUNNING:
        attempt += 1
    if status == PENDING:
        started_at, elapsed = at, 0.0
    else:
        elapsed = max(elapsed, at - started_at)
    error = facts.get("error", "")
    if type(error) is not str:
        error = str(error)
    attempt = facts.get("attempt", attempt)
    source = facts.get("source", "")
    if type(source) is not str:
        source = str(source)
    return name, to, started_at, elapsed, error, attempt, lines, dropped, pieces, source


def _logged(before: KeptPhase, facts: Facts, at: float, max_logs: int) -> KeptPhase:
    """``before`` with one more line; the time it has taken grows while it runs."""
    name, status, started_at, elapsed, error, attempt, lines, dropped, pieces, source = before
    if at - started_at > elapsed and status in UNDERWAY:
        elapsed = at - started_at
    line = phase_line(
        facts.get("line", ""), facts.get("stream", "stdout"), facts.get("timestamp", at)
    )
    dropped += line_count(lines) >= max_logs
    lines = with_line(lines, line, max_logs)
    return name, status, started_at, elapsed, error, attempt, lines, dropped, pieces, source


def _underway_with(
    underway: Underway, pieces: Chunks[PhaseStatus], index: int, after: PhaseStatusName
) -> Underway:
    """``underway`` once phase ``index`` has begun or ended; its head still runs."""
    if after in UNDERWAY:
        return index, underway
    while underway is not None and item_at(pieces, underway[0])._kept[1] not in UNDERWAY:
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


def _seconds(given: object, run: KeptRun) -> float:
    """The time an action gives, or the latest one seen."""
    if type(given) is float:
        return given
    if given is None:
        return run[5] + run[6]
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(f"'at' must be a time in monotonic seconds, not {given!r}")
    return float(given)
