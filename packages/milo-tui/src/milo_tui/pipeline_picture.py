"""What the view of a pipeline shows, as data: for our own view, and for templates. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from milo_pipeline import PhaseStatus, PipelineState, PipelineViewState
from milo_pipeline.text import in_words, one_line, printable
from milo_tui.frames import Size
from milo_tui.symbols import UNICODE

OVERVIEW_KEYS: Final = "↑↓ select  ⏎ lines  ? keys  q quit"
LINES_KEYS: Final = "↑↓ scroll  g top  G end  f follow  / search  ⏎ back  ? keys  q quit"
HELP: Final = (
    ("↑ ↓", "select a phase; scroll its lines"),
    ("PgUp PgDn", "the same by pages"),
    ("Enter, space", "show the lines of the phase, and leave them"),
    ("g G", "first and last line"),
    ("f", "follow new lines, or stay"),
    ("/", "look for text; n and N for the next and the one before"),
    ("r", "run a failed phase again, where the run has ended"),
    ("Esc", "back; from the phases: quit"),
    ("q", "quit"),
)
WIDEST_NAME: Final = 32
_UNDERWAY: Final = ("running", "retrying")
_ROOMY: Final = 6
"""Rows from which on there is room for more than what matters most."""


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """A phase: its sign, name, status and time, and what it says last."""

    sign: str
    name: str
    status: str
    words: str
    latest: str
    is_selected: bool


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line that a phase has written, and its number from 1."""

    number: int
    text: str
    stream: str
    is_found: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is shown of a pipeline.

    ``phases`` are those in sight, or the one whose ``lines`` are shown; ``spare`` is how many rows
    stay empty below them. ``footer`` and ``place`` are empty where there is no room. ``keys`` are
    shown instead of all that, if there are any.
    """

    sign: str
    name: str
    status: str
    progress: float
    elapsed: str
    phases: tuple[PhaseRow, ...]
    names: int
    lines: tuple[LineRow, ...] = ()
    spare: int = 0
    place: str = ""
    footer: str = ""
    is_expanded: bool = False
    is_searching: bool = False
    keys: tuple[tuple[str, str], ...] = ()


def picture_of(view: PipelineViewState, size: Size, now: float) -> Picture:
    """What fits of ``view`` into ``size``, at the monotonic time ``now``."""
    phases = view.pipeline.phases
    if view.shows_help and not size.is_plain:
        return _picture(view.pipeline, now, (), 0, keys=HELP)
    roomy = size.height >= _ROOMY and not size.is_plain
    if view.expanded and 0 <= view.selected_phase < len(phases) and not size.is_plain:
        return _lines(view, size, now, roomy=roomy)
    room = max(1, size.height - (3 if roomy else 1))
    first = _first_shown(view.selected_phase, len(phases), room)
    shown = phases[first : first + room]
    selected = -1 if size.is_plain else view.selected_phase
    rows = tuple(_phase(phase, i == selected, now) for i, phase in enumerate(shown, first))
    footer = _footer(view, OVERVIEW_KEYS) if roomy else ""
    return _picture(view.pipeline, now, rows, size.width, spare=room - len(rows), footer=footer)


def _lines(view: PipelineViewState, size: Size, now: float, *, roomy: bool) -> Picture:
    phase = view.pipeline.phases[view.selected_phase]
    logs, dropped = phase.logs, phase.logs_dropped
    room = max(1, size.height - (4 if roomy else 2))
    first = max(0, min(view.log_scroll, len(logs) - room))
    shown = logs[first : first + room]
    lines = tuple(
        LineRow(dropped + index + 1, printable(line.line), line.stream, index == view.match)
        for index, line in enumerate(shown, first)
    )
    place = f"lines {first + 1}–{first + len(shown)} of {len(logs)}" if logs else "no lines yet"
    return _picture(
        view.pipeline,
        now,
        (_phase(phase, False, now),),
        size.width,
        lines=lines,
        spare=room - len(lines),
        place=(f"{place}, following" if view.auto_follow else place) if roomy else "",
        footer=_footer(view, LINES_KEYS) if roomy else "",
        is_expanded=True,
        is_searching=view.is_searching,
    )


def _picture(
    pipeline: PipelineState, now: float, phases: Sequence[PhaseRow], width: int, **rest: object
) -> Picture:
    underway = pipeline.status == "running"
    elapsed = max(0.0, now - pipeline.started_at) if underway else pipeline.elapsed
    widest = max((cell_len(phase.name) for phase in phases), default=0)
    return Picture(
        UNICODE.of(pipeline.status),
        one_line(pipeline.name),
        pipeline.status,
        pipeline.progress,
        in_words(elapsed),
        tuple(phases),
        min(widest, WIDEST_NAME, max(4, width // 2)),
        **rest,  # type: ignore[arg-type]  # named where it is called
    )


def _phase(phase: PhaseStatus, selected: bool, now: float) -> PhaseRow:
    sign, name = UNICODE.of(phase.status), one_line(phase.name)
    return PhaseRow(sign, name, phase.status, words_of(phase, now), latest_of(phase), selected)


def words_of(phase: PhaseStatus, now: float) -> str:
    """How a phase is and how long it has been, in a few words; none for one that waits."""
    if phase.status == "pending":
        return ""
    if phase.source:
        return f"from {one_line(phase.source)}"
    underway = phase.status in _UNDERWAY
    words = in_words(max(0.0, now - phase.started_at) if underway else phase.elapsed)
    if phase.status not in ("running", "completed"):
        words = f"{phase.status} {words}"
    if phase.items:
        done = sum(item.status in ("completed", "skipped") for item in phase.items)
        words = f"{words}, {done}/{len(phase.items)}"
    return f"{words}, attempt {phase.attempt}" if phase.attempt > 1 else words


def latest_of(phase: PhaseStatus) -> str:
    """What a phase says last: its error, or its last line while it runs."""
    if phase.status in ("failed", "skipped", "retrying"):
        return one_line(phase.error)
    if phase.status == "running" and phase.logs:
        return printable(phase.logs[-1].line)
    return ""


def _footer(view: PipelineViewState, keys: str) -> str:
    if view.is_searching:
        return f"/{one_line(view.search)}▏"
    if view.search:
        found = "" if view.match >= 0 else ": not found"
        return f"/{one_line(view.search)}{found}  n next  N before  ⏎ back"
    return keys


def _first_shown(selected: int, count: int, room: int) -> int:
    """The first row of a list of ``count`` that has ``room``, so that ``selected`` is in it."""
    return max(0, min(selected - room // 2, count - room))
