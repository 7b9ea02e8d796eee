"""What happens in a run: the action types of a pipeline, and a function that makes each.

Every action says when: ``at`` is monotonic seconds, because a reducer reads no clock.
It is the whole payload of ``@@PIPELINE_START``, the ``timestamp`` of a log line, and a
key of every other payload.
"""

from __future__ import annotations

from typing import Any, Final

from milo_core import Action
from milo_pipeline.statuses import PhaseStatusName

PIPELINE_START: Final = "@@PIPELINE_START"
"""A run begins, with all phases pending; the payload is ``at``."""
PHASE_START: Final = "@@PHASE_START"
"""An attempt begins: ``{"name", "attempt", "at"}``."""
PHASE_COMPLETE: Final = "@@PHASE_COMPLETE"
"""A handler returned: ``{"name", "result", "at"}``; with ``source``, in an earlier run."""
PHASE_FAILED: Final = "@@PHASE_FAILED"
"""A phase failed for good, and the pipeline with it: ``{"name", "error", "at"}``."""
PHASE_SKIPPED: Final = "@@PHASE_SKIPPED"
"""The pipeline goes on without a phase: ``{"name", "error", "at"}``."""
PHASE_RETRY: Final = "@@PHASE_RETRY"
"""An attempt failed, another follows: ``{"name", "attempt", "error", "max_retries", "at"}``."""
PHASE_MAPPED: Final = "@@PHASE_MAPPED"
"""A phase with ``map_over`` knows its items: ``{"name", "count", "at"}``."""
PHASE_ITEM: Final = "@@PHASE_ITEM"
"""An item of it moves on: ``{"name", "item", "status", "at"}``, with ``attempt`` or ``error``."""
PHASE_LOG: Final = "@@PHASE_LOG"
"""A handler wrote a line: ``{"name", "line", "stream", "timestamp"}``."""
PIPELINE_COMPLETE: Final = "@@PIPELINE_COMPLETE"
"""Every phase is completed or skipped: ``{"at"}``, or no payload."""
PIPELINE_CANCELLED: Final = "@@PIPELINE_CANCELLED"
"""Somebody stopped the run: ``{"at"}``."""

ACTION_TYPES: Final = frozenset(
    (
        PIPELINE_START,
        PHASE_START,
        PHASE_COMPLETE,
        PHASE_FAILED,
        PHASE_SKIPPED,
        PHASE_RETRY,
        PHASE_MAPPED,
        PHASE_ITEM,
        PHASE_LOG,
        PIPELINE_COMPLETE,
        PIPELINE_CANCELLED,
    )
)
"""Every type above: what a pipeline's reducer listens to."""


def pipeline_start(at: float) -> Action:
    """The run begins."""
    return Action(PIPELINE_START, at)


def phase_start(name: str, attempt: int, at: float) -> Action:
    """Attempt number ``attempt``, from 1, begins."""
    return Action(PHASE_START, {"name": name, "attempt": attempt, "at": at})


def phase_complete(name: str, result: Any, at: float, source: str = "") -> Action:
    """The handler returned ``result``: in an earlier run if there is a ``source`` of it."""
    payload = {"name": name, "result": result, "at": at}
    return Action(PHASE_COMPLETE, {**payload, "source": source} if source else payload)


def phase_failed(name: str, error: str, at: float) -> Action:
    """The phase failed, and nothing more will be tried."""
    return Action(PHASE_FAILED, {"name": name, "error": error, "at": at})


def phase_skipped(name: str, error: str, at: float) -> Action:
    """The phase counts as done without a result."""
    return Action(PHASE_SKIPPED, {"name": name, "error": error, "at": at})


def phase_retry(name: str, attempt: int, error: str, max_retries: int, at: float) -> Action:
    """Attempt number ``attempt`` failed with ``error``; the next one follows."""
    payload = {
        "name": name,
        "attempt": attempt,
        "error": error,
        "max_retries": max_retries,
        "at": at,
    }
    return Action(PHASE_RETRY, payload)


def phase_mapped(name: str, count: int, at: float) -> Action:
    """The phase has ``count`` items."""
    return Action(PHASE_MAPPED, {"name": name, "count": count, "at": at})


def phase_item(name: str, item: int, status: PhaseStatusName, at: float, **more: Any) -> Action:
    """Item number ``item``, from 0, is now ``status``; ``more`` is its attempt or its error."""
    return Action(PHASE_ITEM, {"name": name, "item": item, "status": status, "at": at, **more})


def phase_log(name: str, line: str, stream: str, timestamp: float) -> Action:
    """The handler wrote ``line`` to ``stream`` (``"stdout"`` or ``"stderr"``)."""
    payload = {"name": name, "line": line, "stream": stream, "timestamp": timestamp}
    return Action(PHASE_LOG, payload)


def pipeline_complete(at: float) -> Action:
    """Every phase is completed or skipped."""
    return Action(PIPELINE_COMPLETE, {"at": at})


def pipeline_cancelled(at: float) -> Action:
    """The run was stopped from outside."""
    return Action(PIPELINE_CANCELLED, {"at": at})
