"""A stretch of time as a rectangle in a chart that is as wide as the run was long."""

from __future__ import annotations

from typing import Final

from milo_pipeline.state import PipelineState

_THINNEST: Final = 0.3
"""A bar that is narrower than this, in per cent, could not be seen."""


def bar(
    state: PipelineState, start: float, duration: float, attributes: str, inside: str = ""
) -> str:
    """The rectangle, wherever ``start`` and ``duration`` claim to be within the chart."""
    total = state.elapsed or 1.0
    width = min(100.0, max(_THINNEST, 100 * duration / total))
    x = min(max(0.0, 100 * (start - state.started_at) / total), 100 - width)
    return f'<rect x="{x:.2f}%" width="{width:.2f}%" {attributes}>{inside}</rect>'
