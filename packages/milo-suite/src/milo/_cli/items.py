"""The items of a phase with ``map_over=``, few enough to look at: counted, and told in part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from milo_pipeline import PhaseStatus
from milo_pipeline.statuses import (
    CANCELLED,
    COMPLETED,
    FAILED,
    SKIPPED,
    UNDERWAY,
)
from milo_pipeline.text import counted

MOST_TOLD: Final = 20
"""How many failed or skipped items of a phase have a line of their own."""


@dataclass(frozen=True, slots=True)
class ItemCount:
    """How many items a phase has, and what has come of them.

    Attributes:
        failed: those that failed by themselves; one that was cancelled has not.
    """

    total: int = 0
    completed: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Those that the phase no longer waits for, and that did not fail it."""
        return self.completed + self.skipped

    def after(self, status: str, error: str) -> ItemCount:
        """The count once another item has become ``status``."""
        return ItemCount(
            self.total,
            self.completed + (status == COMPLETED),
            self.skipped + (status == SKIPPED),
            self.failed + is_failed(status, error),
        )

    def __str__(self) -> str:
        """In words, with no more of them than there is to say.

        >>> str(ItemCount(40, 40)), str(ItemCount(40, 36, 1, failed=2))
        ('40 items', '37 of 40 items done, 1 skipped, 2 failed')
        """
        all_of_them = counted(self.total, "item")
        parts = [all_of_them if self.done == self.total else f"{self.done} of {all_of_them} done"]
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        parts += [f"{self.failed} failed"] if self.failed else []
        return ", ".join(parts)


NO_ITEMS: Final = ItemCount()


def is_failed(status: str, error: str) -> bool:
    """Whether an item failed by itself, instead of being cancelled with its phase."""
    return status == FAILED and error != CANCELLED


def count_of(items: Sequence[PhaseStatus]) -> ItemCount:
    """The count of ``PhaseStatus.items``."""
    found = Counter(item.status for item in items)
    failed = found[FAILED] and sum(is_failed(item.status, item.error) for item in items)
    return ItemCount(found.total(), found[COMPLETED], found[SKIPPED], failed)


def worth_a_row(phase: PhaseStatus) -> list[PhaseStatus]:
    """The items to look at while ``phase`` runs or after it has failed: failed and running ones."""
    looked_at = [item for item in phase.items if item.status in (FAILED, *UNDERWAY)]
    failed = [item for item in looked_at if is_failed(item.status, item.error)]
    return failed + [item for item in looked_at if item.status != FAILED]
