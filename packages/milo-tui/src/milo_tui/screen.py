"""What stands on the terminal, and the least that has to be written to have it show a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BEGIN: Final = "\x1b[?2026h"
END: Final = "\x1b[?2026l"
"""Around a frame: terminals that know it show all of it at once, others ignore it."""


class Screen:
    """Rows of text that are on a terminal; belongs to the thread that draws.

    On the alternate screen a frame begins in the first row. Otherwise it begins where the cursor
    was, and pushes up what stands above it when there is no room below.
    """

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._at = 0
        self._is_alternate = True

    def forget(self, *, alternate: bool) -> None:
        """Nothing of what was drawn is there any more."""
        self._rows, self._at, self._is_alternate = [], 0, alternate

    def draw(self, rows: Sequence[str]) -> str:
        """What turns the rows that are there into ``rows``: nothing if they are the same.

        No row is wider than the terminal, and there are no more than it has.
        """
        before = self._rows
        changed = [
            index
            for index in range(max(len(before), len(rows)))
            if index >= len(rows) or index >= len(before) or before[index] != rows[index]
        ]
        if not changed:
            return ""
        written = [BEGIN]
        for index in changed:
            row = rows[index] if index < len(rows) else ""
            written.append(f"{self._move_to(index)}{row}\x1b[0m\x1b[K")
        self._rows = list(rows)
        written.append(END)
        return "".join(written)

    def leave(self) -> str:
        """What puts the cursor below a frame that stays."""
        if self._is_alternate or not self._rows:
            return ""
        return f"{self._move_to(len(self._rows) - 1)}\r\n"

    def _move_to(self, index: int) -> str:
        if self._is_alternate:
            return f"\x1b[{index + 1};1H"
        steps = index - self._at
        self._at = index
        if steps > 0:
            return "\r" + "\n" * steps
        return f"\r\x1b[{-steps}A" if steps else "\r"
