"""The view of a pipeline: its phases and, of the selected one, its lines.

Rows are made as ``Text`` and put together by nothing else, for a table of rich costs as much as
all the rest of a frame.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from milo_pipeline import PhaseStatus, PipelineState, PipelineViewState
from milo_pipeline.phase_status import PhaseLog
from milo_tui.frames import Size
from milo_tui.symbols import UNICODE, Symbols
from milo_tui.text import in_words, one_line, printable

STYLES: Final = {
    "pending": Style(dim=True),
    "running": Style(color="cyan"),
    "retrying": Style(color="yellow"),
    "completed": Style(color="green"),
    "failed": Style(color="red", bold=True),
    "skipped": Style(color="yellow"),
}
_PLAIN: Final = Style()
_DIM: Final = Style(dim=True)
_BOLD: Final = Style(bold=True)
_SELECTED: Final = Style(reverse=True)
_ERROR: Final = Style(color="red")
_FOUND: Final = Style(color="black", bgcolor="yellow")
_UNDERWAY: Final = ("running", "retrying")
_WIDEST_NAME: Final = 32
_WIDEST_BAR: Final = 30

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

Row = list[Segment]


class Rows:
    """Rows that are as wide as they may be already."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Segment.line()
        for index, row in enumerate(self._rows):
            if index:
                yield line
            yield from row


def pipeline_view(state: PipelineViewState | PipelineState | None, size: Size) -> Rows:
    """A frame of ``state``: the phases, the lines of the selected one, or the keys."""
    if state is None:
        return Rows([])
    view = PipelineViewState(state) if isinstance(state, PipelineState) else state
    now = time.monotonic()
    if size.is_plain:
        rows = list(_overview(view, size, now))
    elif view.shows_help:
        rows = _help(view, size)
    elif view.expanded and 0 <= view.selected_phase < len(view.pipeline.phases):
        rows = list(_expanded(view, size, now))
    else:
        rows = list(_overview(view, size, now))
    return Rows([_fitted(row, size.width) for row in rows[: size.height]])


def _overview(view: PipelineViewState, size: Size, now: float) -> Iterator[Row]:
    phases = view.pipeline.phases
    if size.height > 1:
        yield _title(view.pipeline, size, now)
    room = max(1, size.height - (3 if size.height >= 6 else 1))
    first = _first_shown(view.selected_phase, len(phases), room)
    shown = phases[first : first + room]
    widest = max((cell_len(one_line(phase.name)) for phase in shown), default=0)
    names = min(widest, _WIDEST_NAME, max(4, size.width // 2))
    for index, phase in enumerate(shown, first):
        is_selected = index == view.selected_phase and not size.is_plain
        yield _phase_row(phase, is_selected, names, now)
    if size.height >= 6 and not size.is_plain:
        yield from ([] for _ in range(room - len(shown)))
        yield []
        yield [_footer(view, OVERVIEW_KEYS)]


def _expanded(view: PipelineViewState, size: Size, now: float) -> Iterator[Row]:
    phase = view.pipeline.phases[view.selected_phase]
    if size.height > 2:
        yield _title(view.pipeline, size, now)
    if size.height > 1:
        yield _phase_row(phase, False, cell_len(one_line(phase.name)), now)
    logs = phase.logs
    room = max(1, size.height - (4 if size.height >= 6 else 2))
    first = max(0, min(view.log_scroll, len(logs) - room))
    shown = logs[first : first + room]
    digits = len(str(phase.logs_dropped + len(logs)))
    for index, line in enumerate(shown, first):
        found = index == view.match
        yield _line_row(line, phase.logs_dropped + index + 1, digits, found)
    if size.height >= 6:
        yield from ([] for _ in range(room - len(shown)))
        yield [Segment(_place(view, first, len(shown), len(logs)), _DIM)]
        yield [_footer(view, LINES_KEYS)]


def _title(pipeline: PipelineState, size: Size, now: float) -> Row:
    """Name, status, bar, share and time."""
    underway = pipeline.status == "running"
    elapsed = max(0.0, now - pipeline.started_at) if underway else pipeline.elapsed
    style = STYLES.get(pipeline.status, _PLAIN)
    sign = UNICODE.of(pipeline.status)
    row = [
        Segment(f"{sign} ", style),
        Segment(one_line(pipeline.name), _BOLD),
        Segment(f"  {pipeline.status}", style),
    ]
    words = f"  {pipeline.progress:.0%}  {in_words(elapsed)}"
    used = sum(cell_len(each.text) for each in row) + cell_len(words)
    cells = min(_WIDEST_BAR, size.width - used - 4)
    if cells >= 5:
        done = round(cells * pipeline.progress)
        row += [Segment("  "), Segment("━" * done, style), Segment("━" * (cells - done), _DIM)]
    return [*row, Segment(words)]


def _phase_row(phase: PhaseStatus, selected: bool, names: int, now: float) -> Row:
    """Sign, name, status and time, and what it says last."""
    style = STYLES.get(phase.status, _PLAIN)
    name = set_cell_size(one_line(phase.name), names)
    marker = "▸ " if selected else "  "
    row = [
        Segment(f"{marker}{UNICODE.of(phase.status)} ", style),
        Segment(name, _SELECTED if selected else _DIM if phase.status == "pending" else _PLAIN),
    ]
    if words := _status(phase, now):
        row.append(Segment(f"  {words}", style))
    if latest := _latest(phase):
        row.append(Segment(f"  {latest}", _ERROR if phase.status == "failed" else _DIM))
    return row


def _status(phase: PhaseStatus, now: float) -> str:
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


def _latest(phase: PhaseStatus) -> str:
    if phase.status in ("failed", "skipped", "retrying"):
        return one_line(phase.error)
    if phase.status == "running" and phase.logs:
        return printable(phase.logs[-1].line)
    return ""


def _line_row(line: PhaseLog, number: int, digits: int, found: bool) -> Row:
    style = _FOUND if found else _ERROR if line.stream == "stderr" else _PLAIN
    return [Segment(f"{number:>{digits}} ", _DIM), Segment(printable(line.line), style)]


def _place(view: PipelineViewState, first: int, shown: int, count: int) -> str:
    where = f"lines {first + 1}–{first + shown} of {count}" if count else "no lines yet"
    return f"{where}, following" if view.auto_follow else where


def _footer(view: PipelineViewState, keys: str) -> Segment:
    if view.is_searching:
        return Segment(f"/{view.search}▏", _BOLD)
    if view.search:
        found = "" if view.match >= 0 else ": not found"
        return Segment(f"/{view.search}{found}  n next  N before  ⏎ back", _DIM)
    return Segment(keys, _DIM)


def _help(view: PipelineViewState, size: Size) -> list[Row]:
    rows: list[Row] = [[Segment("Keys", _BOLD)], []]
    for keys, what in HELP:
        rows.append([Segment(f"  {keys:<14}", _BOLD), Segment(what)])
    return [*rows, [], [Segment("any key goes back", _DIM)]]


def _first_shown(selected: int, count: int, room: int) -> int:
    """The first row of a list of ``count`` that has ``room``, so that ``selected`` is in it."""
    return max(0, min(selected - room // 2, count - room))


def _fitted(row: Row, width: int) -> Row:
    """``row`` cut off where the terminal ends."""
    fitted, left = [], width
    for segment in row:
        cells = cell_len(segment.text)
        if cells > left:
            if left:
                fitted.append(Segment(set_cell_size(segment.text, left), segment.style))
            return fitted
        fitted.append(segment)
        left -= cells
    return fitted


__all__ = ["Rows", "Symbols", "pipeline_view"]
