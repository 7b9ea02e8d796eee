"""What comes of the items of a phase with ``map_over``."""

from __future__ import annotations

from typing import Any

from milo_pipeline._execution import Completed, Failed, Outcome
from milo_pipeline.errors import ItemFailed


class Mapped:
    """The outcomes of a phase's items, noted by their sagas, each its own."""

    def __init__(self, count: int) -> None:
        self.numbers = range(count)
        self.failed = False
        """Whether an item has failed for good, so that no further one begins."""
        self._outcomes: list[Outcome | None] = [None] * count

    def note(self, number: int, outcome: Outcome) -> None:
        """Keep what came of an item."""
        self._outcomes[number] = outcome
        if isinstance(outcome, Failed):
            self.failed = True

    def outcome(self) -> Outcome:
        """What came of the phase, once every item has ended: the results, or the first failure.

        The result of an item that its policy has skipped is ``None``.
        """
        results: list[Any] = []
        for number, outcome in enumerate(self._outcomes):
            if isinstance(outcome, Failed):
                return Failed(_told(number, outcome.error))
            results.append(outcome.result if isinstance(outcome, Completed) else None)
        return Completed(results)


def _told(number: int, error: BaseException) -> BaseException:
    """``error`` with the item's number before it; what is no ``Exception`` stays what it is."""
    if not isinstance(error, Exception):
        return error
    failed = ItemFailed(number, error)
    failed.__cause__ = error
    return failed
