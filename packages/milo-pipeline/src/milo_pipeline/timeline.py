"""A run as plain data, and the one place where a process shows which run is active."""

from __future__ import annotations

from typing import Any

from milo_pipeline._lines import line_count
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState

# Replaced as a whole, never changed: a reader on another thread sees the old state or the new.
_active: PipelineState | None = None


def set_active_pipeline(state: PipelineState | None) -> None:
    """Publish a state for whoever shows the active pipeline, such as an MCP timeline.

    May be called from any thread; the last call wins, ``None`` takes the state back.
    Call it from a listener to keep what is shown up to date:
    ``store.subscribe(lambda: set_active_pipeline(store.state))``.
    """
    global _active
    _active = state


def get_active_pipeline() -> PipelineState | None:
    """The most recently published state, or ``None``."""
    return _active


def pipeline_to_timeline(state: PipelineState) -> dict[str, Any]:
    """``state`` as a dict that JSON can hold, numbers to three places.

    >>> state = PipelineState("build", (PhaseStatus("parse", "completed", 1.0, 0.5214, "", 1),))
    >>> pipeline_to_timeline(state)["phases"][0]["elapsed"]
    0.521
    """
    return {
        "pipeline": state.name,
        "status": state.status,
        "elapsed": round(state.elapsed, 3),
        "progress": round(state.progress, 3),
        "phases": [_entry(phase) for phase in state.phases],
    }


def _entry(phase: PhaseStatus) -> dict[str, Any]:
    return {
        "name": phase.name,
        "status": phase.status,
        "elapsed": round(phase.elapsed, 3),
        "attempt": phase.attempt,
        "error": phase.error or None,
        "log_count": line_count(phase._lines),
    }
