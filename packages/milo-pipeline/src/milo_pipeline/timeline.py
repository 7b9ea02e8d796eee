"""A run as plain data, and the one place where a process shows which run is active."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from milo_pipeline._lines import line_count
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState

# Replaced as a whole, never changed: a reader on another thread sees the old state or the new.
_active: PipelineState | Callable[[], PipelineState | None] | None = None
_replacing = Lock()
_hearers: tuple[Callable[[], None], ...] = ()


def set_active_pipeline(state: PipelineState | None) -> None:
    """Publish a state for whoever shows the active pipeline, such as an MCP timeline.

    May be called from any thread; the last call wins, ``None`` takes the state back.
    Call it from a listener to keep what is shown up to date:
    ``store.subscribe(lambda: set_active_pipeline(store.state))``.
    """
    global _active
    with _replacing:
        _active = state
    _tell()


def get_active_pipeline() -> PipelineState | None:
    """The most recently published state, or that of the latest ``Pipeline.run``; or ``None``."""
    active = _active  # once: it may be replaced meanwhile
    return active() if callable(active) else active


def follow_active_pipeline(state: Callable[[], PipelineState | None]) -> Callable[[], None]:
    """Publish whatever ``state()`` is when somebody asks: a run that nobody watches costs nothing.

    It is called on the thread that asks. The returned function publishes what it is then in
    its place, unless something else has been published since.
    """
    global _active
    with _replacing:
        _active = state
    _tell()

    def settle() -> None:
        global _active
        with _replacing:
            if _active is state:
                _active = state()
        _tell()

    return settle


def on_active_pipeline(hear: Callable[[], None]) -> Callable[[], None]:
    """Call ``hear`` when another state is published, until the returned function is called.

    It is called on the thread that publishes, and asks ``get_active_pipeline`` for the state; it
    must be quick and must not raise. How a state that is followed goes on is not told.
    """
    global _hearers
    with _replacing:
        _hearers = (*_hearers, hear)

    def stop() -> None:
        global _hearers
        with _replacing:
            _hearers = tuple(each for each in _hearers if each is not hear)

    return stop


def _tell() -> None:
    for hear in _hearers:
        hear()


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
