"""The statuses of a saga, and which may follow which."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class SagaStatus(StrEnum):
    """Where a saga stands."""

    RUNNING = "RUNNING"
    """A worker has it until its deadline, which it puts off while it works."""
    SUSPENDED = "SUSPENDED"
    """It waits for its first or next attempt, which is its deadline, for an event, or, after too
    many crashes, for an operator. Past its deadline it waits for its turn."""
    COMPENSATING = "COMPENSATING"
    """As ``RUNNING``, on the way back."""
    COMPENSATING_SUSPENDED = "COMPENSATING_SUSPENDED"
    """It waits for the next attempt to undo a step, or, after too many crashes, for an operator."""
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    COMPENSATED = "COMPENSATED"
    TIMEOUT = "TIMEOUT"
    """The event that it waited for did not come in time; an operator has to decide."""


ACTIVE: Final = (
    SagaStatus.RUNNING,
    SagaStatus.SUSPENDED,
    SagaStatus.COMPENSATING,
    SagaStatus.COMPENSATING_SUSPENDED,
)
"""Of these there is at most one saga for each aggregation id."""
WAITING: Final = (SagaStatus.SUSPENDED, SagaStatus.COMPENSATING_SUSPENDED)
WORKING: Final = (SagaStatus.RUNNING, SagaStatus.COMPENSATING)
TERMINAL: Final = (SagaStatus.COMPLETED, SagaStatus.FAILED, SagaStatus.COMPENSATED)

TRANSITIONS: Final = {
    SagaStatus.RUNNING: (
        *(SagaStatus.RUNNING, SagaStatus.SUSPENDED, SagaStatus.COMPLETED),
        *(SagaStatus.COMPENSATING, SagaStatus.COMPENSATED, SagaStatus.FAILED),
    ),
    SagaStatus.SUSPENDED: (
        *(SagaStatus.RUNNING, SagaStatus.SUSPENDED, SagaStatus.COMPLETED),
        *(SagaStatus.TIMEOUT, SagaStatus.COMPENSATING, SagaStatus.COMPENSATED, SagaStatus.FAILED),
        SagaStatus.COMPENSATING_SUSPENDED,  # it turns back, and waits for its turn
    ),
    SagaStatus.COMPENSATING: (
        *(SagaStatus.COMPENSATING, SagaStatus.COMPENSATING_SUSPENDED),
        *(SagaStatus.COMPENSATED, SagaStatus.FAILED),
    ),
    SagaStatus.COMPENSATING_SUSPENDED: (SagaStatus.COMPENSATING, SagaStatus.FAILED),
    SagaStatus.TIMEOUT: (
        *(SagaStatus.RUNNING, SagaStatus.COMPENSATING),
        *(SagaStatus.COMPENSATED, SagaStatus.FAILED),
    ),
    SagaStatus.FAILED: (SagaStatus.RUNNING, SagaStatus.COMPENSATING, SagaStatus.COMPENSATED),
    SagaStatus.COMPLETED: (),
    SagaStatus.COMPENSATED: (),
}
"""From each status to those that may follow it."""
