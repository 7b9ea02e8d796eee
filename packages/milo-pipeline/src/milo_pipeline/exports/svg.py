"""The graph as a picture of its own: drawn here, without Graphviz or a browser's help.

It uses no style sheet, script, font file or link to elsewhere. Boxes bring their own pale
ground under black text, edges are grey: so it can stand on a white page and on a black one.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import accumulate
from typing import Final
from unicodedata import east_asian_width

from milo_pipeline.exports._layers import layers
from milo_pipeline.exports._look import LOOKS, label, statuses_of
from milo_pipeline.exports._text import markup, shortened, visible
from milo_pipeline.graph import Plan
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import PENDING

_MOST_SIGNS: Final = 28
_SIGN_WIDTH: Final = 7.4
_BOX_HEIGHT: Final = 28
_ROW: Final = 42
_BETWEEN_COLUMNS: Final = 56
_MARGIN: Final = 8
_GREY: Final = "#888888"
_ARROW_HEAD: Final = (
    '<defs><marker id="milo-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{_GREY}"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a phase is drawn: its left edge, the middle of its height, its width."""

    x: float
    y: float
    width: float


def to_svg(pipeline: Pipeline, state: PipelineState | None = None) -> str:
    """The graph from left to right, a column for each level, as one SVG document.

    With a ``state``, each phase has the sign and the colour of its status. Long names are
    shortened; the whole name is what a pointer over the box shows.
    """
    return drawn(pipeline, state)


def drawn(
    pipeline: Pipeline, state: PipelineState | None = None, linked: Container[int] = ()
) -> str:
    """``to_svg``, in which the phases ``linked``, by index, lead to ``#p<index>``."""
    plan = pipeline.plan
    statuses = statuses_of(plan, state)
    texts = [
        shortened(visible(label(phase.name, status)), _MOST_SIGNS)
        for phase, status in zip(plan.phases, statuses, strict=True)
    ]
    columns = layers(plan)
    boxes = _placed(columns, texts)
    width = max((box.x + box.width for box in boxes), default=0) + _MARGIN
    height = max(map(len, columns), default=0) * _ROW + 2 * _MARGIN
    drawings = [
        _linked(_box(phase.name, texts[i], statuses[i], boxes[i]), i, linked)
        for i, phase in enumerate(plan.phases)
    ]
    return _document(pipeline.name, width, height, _edges(plan, boxes), drawings)


def _document(name: str, width: float, height: float, edges: list[str], boxes: list[str]) -> str:
    """Edges first: what is drawn later lies on top."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{markup(name)}" '
        'font-family="system-ui, sans-serif" font-size="13">'
    )
    curves = [f'<g fill="none" stroke="{_GREY}" stroke-width="1.2">', *edges, "</g>"]
    head = [opening, f"<title>{markup(name)}</title>", _ARROW_HEAD]
    return "\n".join([*head, *curves, *boxes, "</svg>", ""])


def _placed(columns: list[list[int]], texts: list[str]) -> list[_Box]:
    """Columns as wide as their widest box, their boxes spread over the whole height."""
    widths = [max(_width(texts[i]) for i in column) for column in columns]
    starts = accumulate((width + _BETWEEN_COLUMNS for width in widths), initial=float(_MARGIN))
    height = max(map(len, columns), default=0) * _ROW
    boxes: dict[int, _Box] = {}
    for column, x, width in zip(columns, starts, widths, strict=False):  # one start is left over
        for position, i in enumerate(column):
            y = _MARGIN + height * (position + 0.5) / len(column)
            boxes[i] = _Box(x, y, width)
    return [boxes[i] for i in range(len(boxes))]


def _width(text: str) -> float:
    signs = sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)
    return signs * _SIGN_WIDTH + 20


def _edges(plan: Plan, boxes: list[_Box]) -> list[str]:
    return [
        _curve(boxes[j], boxes[i]) for i, needed in enumerate(plan.dependencies) for j in needed
    ]


def _curve(start: _Box, end: _Box) -> str:
    """From the right of one box to the left of another, level at both ends."""
    x, to_x = start.x + start.width, end.x
    bend = min(_BETWEEN_COLUMNS, (to_x - x) / 2)
    return (
        f'<path d="M{x:.0f} {start.y:.0f}C{x + bend:.0f} {start.y:.0f} '
        f'{to_x - bend:.0f} {end.y:.0f} {to_x:.0f} {end.y:.0f}" marker-end="url(#milo-arrow)"/>'
    )


def _box(name: str, text: str, status: str, box: _Box) -> str:
    look = LOOKS[status or PENDING]
    tip = f"{markup(name)}: {status}" if status else markup(name)
    return (
        f"<g><title>{tip}</title>"
        f'<rect x="{box.x:.0f}" y="{box.y - _BOX_HEIGHT / 2:.0f}" width="{box.width:.0f}" '
        f'height="{_BOX_HEIGHT}" rx="6" fill="{look.pale}" stroke="{look.strong}" '
        f'stroke-width="{2 if status else 1}"/>'
        f'<text x="{box.x + box.width / 2:.0f}" y="{box.y + 4.5:.0f}" text-anchor="middle" '
        f'fill="#000000">{markup(text)}</text></g>'
    )


def _linked(box: str, i: int, linked: Container[int]) -> str:
    return f'<a href="#p{i}">{box}</a>' if i in linked else box
