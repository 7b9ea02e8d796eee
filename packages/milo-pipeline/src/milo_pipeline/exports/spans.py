"""The attempts of a run, taken down while it runs: a state keeps only a phase's last one."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from milo_core import Action
from milo_pipeline import actions
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    RETRYING,
    RUNNING,
    SKIPPED,
    PhaseStatusName,
)

Outcome: TypeAlias = Literal["completed", "failed", "skipped", "retrying", "cancelled", "running"]

_OUTCOMES: Final[dict[str, Outcome]] = {
    actions.PHASE_COMPLETE: COMPLETED,
    actions.PHASE_FAILED: FAILED,
    actions.PHASE_SKIPPED: SKIPPED,
    actions.PHASE_RETRY: RETRYING,
}


@dataclass(frozen=True, slots=True)
class Span:
    """One attempt of one phase.

    Attributes:
        attempt: counted from 1.
        started_at: in monotonic seconds, as ``ended_at``.
        outcome: what the attempt led to: the phase's status after it, ``"cancelled"``, or
            ``"running"`` for one that has not ended; ``ended_at`` is the latest time known then.
        error: why it did not complete.
    """

    phase: str
    attempt: int
    started_at: float
    ended_at: float
    outcome: Outcome
    error: str = ""


class SpanRecorder:
    """Takes down every attempt: give its ``on_event`` to ``Pipeline.run``.

    An event costs the same however many phases there are. Events come one at a time, as a
    run tells them; read ``spans`` when it has ended. A new run begins a new record.

    >>> recorder, state = SpanRecorder(), PipelineState("build")
    >>> recorder.on_event(actions.phase_start("parse", 1, at=2.0), state)
    >>> recorder.on_event(actions.phase_complete("parse", None, at=2.5), state)
    >>> recorder.spans()
    (Span(phase='parse', attempt=1, started_at=2.0, ended_at=2.5, outcome='completed', error=''),)
    """

    def __init__(self) -> None:
        self._ended: list[Span] = []
        self._open: dict[str, tuple[int, float]] = {}
        self._latest = 0.0

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Take note of ``action``; ``state`` is the one it led to."""
        if action.type not in actions.ACTION_TYPES:
            return
        facts = _facts(action.payload)
        at = float(facts.get("at", facts.get("timestamp", state.started_at + state.elapsed)))
        self._latest = max(self._latest, at)
        name = facts.get("name", "")
        if action.type == actions.PIPELINE_START:
            self._ended, self._open, self._latest = [], {}, at
        elif action.type == actions.PHASE_START:
            self._open[name] = (facts.get("attempt", 1), at)
        elif action.type in _OUTCOMES:
            self._end(name, at, _OUTCOMES[action.type], str(facts.get("error", "")))
        elif action.type == actions.PIPELINE_CANCELLED:
            for name in list(self._open):
                self._end(name, at, CANCELLED, CANCELLED)

    def spans(self) -> tuple[Span, ...]:
        """The attempts so far, in the order of their starts."""
        still = [
            Span(name, attempt, started_at, max(started_at, self._latest), RUNNING)
            for name, (attempt, started_at) in self._open.items()
        ]
        return tuple(sorted([*self._ended, *still], key=lambda span: span.started_at))

    def _end(self, name: str, at: float, outcome: Outcome, error: str) -> None:
        """Close the phase's attempt; one that was skipped before it began has none."""
        if name not in self._open:
            return
        attempt, started_at = self._open.pop(name)
        if outcome == FAILED and error == CANCELLED:
            outcome = CANCELLED
        self._ended.append(Span(name, attempt, started_at, max(started_at, at), outcome, error))


def outcome_of(phase: PhaseStatus) -> PhaseStatusName | Literal["cancelled"]:
    """The status of a phase or item, with a cancellation told apart from a failure."""
    return CANCELLED if phase.status == FAILED and phase.error == CANCELLED else phase.status


def spans_of(state: PipelineState) -> tuple[Span, ...]:
    """A span for each phase that has begun, as far as a state alone can tell.

    It covers all attempts of the phase, and is the best there is where nobody recorded.
    """
    return _spans_of(state.phases)


def item_spans(phase: PhaseStatus) -> tuple[Span, ...]:
    """The same for each item of a phase with ``map_over``; ``Span.phase`` is the item's name."""
    return _spans_of(phase.items)


def _spans_of(phases: Iterable[PhaseStatus]) -> tuple[Span, ...]:
    return tuple(
        Span(
            phase.name,
            phase.attempt,
            phase.started_at,
            phase.started_at + phase.elapsed,
            cast(Outcome, outcome_of(phase)),
            phase.error,
        )
        for phase in phases
        if phase.status != PENDING and phase.attempt
    )


def tracebacks_of(errors: Mapping[str, BaseException]) -> dict[str, str]:
    """The traceback of each of ``PipelineResult.errors`` as text, by phase."""
    return {
        name: "".join(traceback.format_exception(error)).rstrip() for name, error in errors.items()
    }


def _facts(payload: Any) -> Mapping[str, Any]:
    """A payload's facts, also those of the short forms: a bare name, a bare time."""
    if isinstance(payload, Mapping):
        return payload
    if isinstance(payload, str):
        return {"name": payload}
    return {} if payload is None else {"at": payload}
