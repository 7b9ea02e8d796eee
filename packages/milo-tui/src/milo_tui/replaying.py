"""A run that is over, at any of its moments: the same view, and a slider for the time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rich.console import Group
from rich.segment import Segment
from rich.style import Style

from milo_core import Action, SpecialKey
from milo_core.actions import KEY, RESIZE, TICK
from milo_pipeline import PhaseStatus, PipelineState, PipelineViewState
from milo_pipeline.exports import Span, Timeline
from milo_pipeline.text import in_words
from milo_tui.app import App
from milo_tui.frames import Size
from milo_tui.pipeline_app import STATE, keys_over_states
from milo_tui.pipeline_picture import picture_of
from milo_tui.pipeline_view import Rows, pipeline_rows

PACE: Final = 0.05
"""Seconds between two frames while it plays."""
_DIM: Final = Style(dim=True)
_BOLD: Final = Style(bold=True)
_DONE: Final = ("completed", "skipped")


@dataclass(frozen=True, slots=True)
class ReplayState:
    """What is shown of a recorded run, and at which time since its start, in seconds."""

    view: PipelineViewState
    time: float
    is_playing: bool = False


class ReplayApp(App[ReplayState]):
    """Shows the run that ``timeline`` tells of, at its end at first.

    The keys are those of any pipeline; besides, ← and → go to the moment before and the next,
    and space plays it from there, or from its beginning at the end.
    """

    def __init__(self, timeline: Timeline, **options: Any) -> None:
        recorded = Recorded(timeline)
        view = PipelineViewState(recorded.at(recorded.end))
        super().__init__(
            reducer=recorded.reduce,
            initial_state=ReplayState(view, recorded.end),
            view=recorded.shown,
            tick_rate=PACE,
            **options,
        )


class Recorded:
    """A run that is over. Pure."""

    def __init__(self, timeline: Timeline) -> None:
        self._final = timeline.state
        self._attempts: dict[str, list[Span]] = {}
        for span in timeline.spans:
            self._attempts.setdefault(span.phase, []).append(span)
        self._logged = {
            phase.name: [line.timestamp for line in phase.logs] for phase in self._final.phases
        }
        self._weights = {phase.name: phase.weight for phase in timeline.pipeline.phases}
        self.end: float = self._final.elapsed
        self.moments: Sequence[float] = self._moments()
        """Seconds at which something happened, in their order."""
        self._detail = keys_over_states()

    def at(self, time: float) -> PipelineState:
        """The state at ``time``, in which ``started_at`` of all is since the start of the run."""
        if time >= self.end:
            return self._final
        phases = tuple(self._phase(phase, time) for phase in self._final.phases)
        running = [phase.name for phase in phases if phase.status in ("running", "retrying")]
        failed = any(phase.status == "failed" for phase in phases)
        return PipelineState(
            self._final.name,
            phases,
            running[-1] if running else "",
            0.0,
            time,
            self._progress(phases),
            "failed" if failed else "running",
        )

    def reduce(self, state: ReplayState, action: Action) -> Any:
        """The reducer."""
        if action.type == TICK and state.is_playing:
            return self._moved(state, state.time + PACE, plays=True)
        if action.type == KEY and not state.view.is_searching and not state.view.shows_help:
            key = action.payload
            if key.name is SpecialKey.LEFT:
                return self._moved(state, self._before(state.time), plays=False)
            if key.name is SpecialKey.RIGHT:
                return self._moved(state, self._after(state.time), plays=False)
            if key.char == " ":
                begin = 0.0 if state.time >= self.end else state.time
                return self._moved(state, begin, plays=not state.is_playing)
        if action.type not in (KEY, RESIZE):
            return state
        answer = self._detail(state.view, action)
        if isinstance(answer, PipelineViewState):
            return state if answer is state.view else replace(state, view=answer)
        return replace(answer, state=replace(state, view=answer.state))

    def shown(self, state: ReplayState, size: Size) -> Any:
        """The view."""
        if size.is_plain or size.height < 3:
            return Rows(pipeline_rows(picture_of(state.view, size, state.time), size))
        above = Size(size.width, size.height - 1)
        rows = pipeline_rows(picture_of(state.view, above, state.time), above)
        rows += [[] for _ in range(above.height - len(rows))]
        return Group(Rows([*rows, self._slider(state, size.width)]))

    def _slider(self, state: ReplayState, width: int) -> list[Segment]:
        sign = "▶" if state.is_playing else "⏸"
        words = f" {in_words(state.time)} of {in_words(self.end)}  ←→ step  space plays"
        cells = max(1, min(40, width - len(words) - 4))
        at = round((cells - 1) * (state.time / self.end if self.end else 1.0))
        return [
            Segment(f"{sign} ", _BOLD),
            Segment("━" * at),
            Segment("●", _BOLD),
            Segment("─" * (cells - 1 - at), _DIM),
            Segment(words[: max(0, width - cells - 2)], _DIM),
        ]

    def _moved(self, state: ReplayState, time: float, *, plays: bool) -> ReplayState:
        time = max(0.0, min(time, self.end))
        view = self._detail(state.view, Action(STATE, self.at(time)))
        return ReplayState(view, time, plays and time < self.end)

    def _before(self, time: float) -> float:
        index = bisect_left(self.moments, time) - 1
        return self.moments[max(0, index)]

    def _after(self, time: float) -> float:
        index = bisect_right(self.moments, time)
        return self.moments[min(index, len(self.moments) - 1)]

    def _moments(self) -> Sequence[float]:
        times = {0.0, self.end}
        for span in self._spans():
            times |= {span.started_at, span.ended_at}
        for phase in self._final.phases:
            times.update(line.timestamp for line in phase.logs)
        return sorted(time for time in times if 0 <= time <= self.end)

    def _spans(self) -> Iterable[Span]:
        return (span for spans in self._attempts.values() for span in spans)

    def _phase(self, phase: PhaseStatus, time: float) -> PhaseStatus:
        spans = self._attempts.get(phase.name, [])
        begun = [span for span in spans if span.started_at <= time]
        ended = phase.started_at + phase.elapsed
        if phase.status == "pending" or (not begun and (spans or phase.started_at > time)):
            return PhaseStatus(phase.name)
        if time >= ended:
            return phase
        lines = phase.logs[: bisect_right(self._logged[phase.name], time)]
        waits = bool(begun) and begun[-1].ended_at <= time
        return PhaseStatus(
            phase.name,
            "retrying" if waits else "running",
            phase.started_at,
            time - phase.started_at,
            begun[-1].error if waits else "",
            begun[-1].attempt if begun else 1,
            lines,
            items=tuple(item for item in phase.items if item.started_at <= time),
        )

    def _progress(self, phases: Iterable[PhaseStatus]) -> float:
        weights = [(self._weights[phase.name], phase.status in _DONE) for phase in phases]
        whole = sum(weight for weight, _ in weights)
        return sum(weight for weight, done in weights if done) / whole if whole else 1.0
