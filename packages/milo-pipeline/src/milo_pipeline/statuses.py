"""The words a status can be. Plain strings, so that they compare, print and encode as such."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

PhaseStatusName: TypeAlias = Literal[
    "pending", "running", "retrying", "completed", "failed", "skipped"
]
PipelineStatusName: TypeAlias = Literal["pending", "running", "completed", "failed"]

PENDING: Final = "pending"
RUNNING: Final = "running"
RETRYING: Final = "retrying"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"

UNDERWAY: Final[frozenset[str]] = frozenset({RUNNING, RETRYING})
"""Begun and not ended: a phase that waits for its next attempt still runs."""
ENDED: Final[frozenset[str]] = frozenset({COMPLETED, FAILED, SKIPPED})
"""Final for this run; only the next ``@@PIPELINE_START`` changes such a phase."""
DONE: Final[frozenset[str]] = frozenset({COMPLETED, SKIPPED})
"""Counts as progress, and lets dependents start."""

CANCELLED: Final = "cancelled"
"""Not a status but an error: that of a run, and of its phases, when somebody stopped it."""
