"""The few signs the displays use, in the best alphabet the output can write."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class Symbols:
    """One sign for each status a phase can have, and two for text."""

    pending: str
    running: str
    completed: str
    failed: str
    skipped: str
    retrying: str
    arrow: str
    more: str

    def of(self, status: str) -> str:
        """The sign of a phase status; an unknown status shows as pending."""
        return str(getattr(self, status, self.pending))


UNICODE = Symbols("○", "●", "✓", "✗", "↷", "↻", "→", "…")
ASCII = Symbols(".", ">", "+", "x", "-", "~", "->", "...")


def symbols_for(encoding: str | None) -> Symbols:
    """The Unicode signs where ``encoding`` has them, else ASCII ones.

    >>> symbols_for("latin-1").arrow
    '->'
    """
    try:
        "".join(astuple(UNICODE)).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
