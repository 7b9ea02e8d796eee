"""The view of a pipeline: its phases and, of the selected one, its lines.

Rows are made of segments and put together by nothing else, for a table of rich costs as much as
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

from milo_pipeline import PipelineState, PipelineViewState
from milo_tui.frames import Size
from milo_tui.pipeline_picture import LineRow, PhaseRow, Picture, picture_of

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
_WIDEST_BAR: Final = 30
_NARROWEST_BAR: Final = 5

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
    return Rows(pipeline_rows(picture_of(view, size, time.monotonic()), size))


def pipeline_rows(picture: Picture, size: Size) -> list[Row]:
    """The rows of ``picture``, each no wider than ``size`` and no more than fit."""
    return [_fitted(row, size.width) for row in list(_drawn(picture, size))[: size.height]]


def _drawn(picture: Picture, size: Size) -> Iterator[Row]:
    if picture.keys:
        yield [Segment("Keys", _BOLD)]
        yield []
        for keys, what in picture.keys:
            yield [Segment(f"  {keys:<14}", _BOLD), Segment(what)]
        yield []
        yield [Segment("any key goes back", _DIM)]
        return
    if size.height > 1 + picture.is_expanded:
        yield _title(picture, size)
    if not picture.is_expanded or size.height > 1:
        yield from (_phase_row(phase, picture.names) for phase in picture.phases)
    digits = len(str(picture.lines[-1].number)) if picture.lines else 0
    yield from (_line_row(line, digits) for line in picture.lines)
    if picture.footer:
        yield from ([] for _ in range(picture.spare))
        yield [Segment(picture.place, _DIM)]
        yield [Segment(picture.footer, _BOLD if picture.is_searching else _DIM)]


def _title(picture: Picture, size: Size) -> Row:
    """Sign, name, status, bar, share and time."""
    style = STYLES.get(picture.status, _PLAIN)
    row = [
        Segment(f"{picture.sign} ", style),
        Segment(picture.name, _BOLD),
        Segment(f"  {picture.status}", style),
    ]
    words = f"  {picture.progress:.0%}  {picture.elapsed}"
    used = sum(cell_len(each.text) for each in row) + cell_len(words)
    cells = min(_WIDEST_BAR, size.width - used - 4)
    if cells >= _NARROWEST_BAR:
        done = round(cells * picture.progress)
        row += [Segment("  "), Segment("━" * done, style), Segment("━" * (cells - done), _DIM)]
    return [*row, Segment(words)]


def _phase_row(phase: PhaseRow, names: int) -> Row:
    style = STYLES.get(phase.status, _PLAIN)
    named = _SELECTED if phase.is_selected else _DIM if phase.status == "pending" else _PLAIN
    row = [
        Segment(f"{'▸' if phase.is_selected else ' '} {phase.sign} ", style),
        Segment(set_cell_size(phase.name, names), named),
    ]
    if phase.words:
        row.append(Segment(f"  {phase.words}", style))
    if phase.latest:
        row.append(Segment(f"  {phase.latest}", _ERROR if phase.status == "failed" else _DIM))
    return row


def _line_row(line: LineRow, digits: int) -> Row:
    style = _FOUND if line.is_found else _ERROR if line.stream == "stderr" else _PLAIN
    return [Segment(f"{line.number:>{digits}} ", _DIM), Segment(line.text, style)]


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
