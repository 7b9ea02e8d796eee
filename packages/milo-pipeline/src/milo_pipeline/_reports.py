"""What a run says of attempts: of a phase's own, or of those of one of its items."""

from __future__ import annotations

import time
from typing import Any

from milo_core import Action
from milo_pipeline._execution import Failed, Outcome, Skipped
from milo_pipeline._handlers import message_of
from milo_pipeline.actions import phase_item, phase_retry, phase_start
from milo_pipeline.phase import Phase
from milo_pipeline.statuses import (
    CANCELLED,
    COMPLETED,
    FAILED,
    RETRYING,
    RUNNING,
    SKIPPED,
    PhaseStatusName,
)

_now = time.monotonic


class Report:
    """Makes the actions that tell of a phase's attempts."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase

    def started(self, attempt: int) -> Action:
        """Attempt number ``attempt`` begins."""
        return phase_start(self._phase.name, attempt, _now())

    def retrying(self, attempt: int, error: Exception) -> Action:
        """Attempt number ``attempt`` has failed, and another follows."""
        most = self._phase.policy.max_retries
        return phase_retry(self._phase.name, attempt, message_of(error), most, _now())


class ItemReport(Report):
    """The same for one item of a phase, and how it ended."""

    def __init__(self, phase: Phase, number: int) -> None:
        super().__init__(phase)
        self._number = number

    def started(self, attempt: int) -> Action:
        """Attempt number ``attempt`` begins."""
        return self._moved(RUNNING, attempt=attempt)

    def retrying(self, attempt: int, error: Exception) -> Action:
        """Attempt number ``attempt`` has failed, and another follows."""
        return self._moved(RETRYING, attempt=attempt, error=message_of(error))

    def ended(self, outcome: Outcome) -> Action:
        """The last word on the item."""
        if isinstance(outcome, Failed):
            return self._moved(FAILED, error=message_of(outcome.error))
        if isinstance(outcome, Skipped):
            return self._moved(SKIPPED, error=message_of(outcome.error))
        return self._moved(COMPLETED)

    def cancelled(self) -> Action:
        """The item was stopped."""
        return self._moved(FAILED, error=CANCELLED)

    def _moved(self, status: PhaseStatusName, **more: Any) -> Action:
        return phase_item(self._phase.name, self._number, status, _now(), **more)
