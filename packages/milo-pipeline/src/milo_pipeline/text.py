"""Text of foreign origin, made safe to show: one line, no control characters."""

from __future__ import annotations

import re
from typing import Final

ESCAPE_SEQUENCES: Final = re.compile(
    r"""
    (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]                          # colours, cursor moves
  | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]) .*? (?:\x07|\x9c|\x1b\\|$)  # titles, links
  | \x1b [ -/]* [0-~]                                            # everything shorter
    """,
    re.VERBOSE | re.DOTALL,
)
# C0 and C1 controls, line separators, and the marks that turn text around.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(line: str) -> str:
    """``line`` as a terminal may show it: no escape sequence, no control character.

    A line rewritten with carriage returns, as progress bars do, shows its last writing.

    >>> printable("\\x1b[31mred\\x1b[0m")
    'red'
    >>> printable("10%\\r20%\\r")
    '20%'
    """
    if line.isprintable():
        return line
    plain = ESCAPE_SEQUENCES.sub("", line)
    writings = [part for part in plain.split("\r") if part.strip()]
    return _CONTROLS.sub("", (writings[-1] if writings else "").expandtabs(8))


def one_line(message: object) -> str:
    """``str(message)`` on a single line, safe to show.

    >>> one_line("first\\n  second")
    'first second'
    """
    return printable(" ".join(str(message).split()))


def in_words(seconds: float) -> str:
    """A duration as people write it.

    >>> in_words(0.5234), in_words(75), in_words(7384)
    ('0.52 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, noun: str) -> str:
    """The number with its noun.

    >>> counted(1, "phase"), counted(6, "phase")
    ('1 phase', '6 phases')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
