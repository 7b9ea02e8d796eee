"""Text of foreign origin, made safe to show, and moments and spans as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_ESCAPE_SEQUENCES = re.compile(
    r"""
    (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]                          # colours, cursor moves
  | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]) .*? (?:\x07|\x9c|\x1b\\|$)  # titles, links
  | \x1b [ -/]* [0-~]                                            # everything shorter
    """,
    re.VERBOSE | re.DOTALL,
)
# C0 and C1 controls, line separators, and the marks that turn text around.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(line: str) -> str:
    """``line`` as a terminal may show it: no escape sequence, no control character.

    >>> printable("\\x1b[31mred\\x1b[0m\\a")
    'red'
    """
    return line if line.isprintable() else _CONTROLS.sub("", _ESCAPE_SEQUENCES.sub("", line))


def one_line(message: object) -> str:
    """``str(message)`` on a single line, safe to show.

    >>> one_line("first\\n  second")
    'first second'
    """
    return printable(" ".join(str(message).split()))


def moment(when: datetime) -> str:
    """A moment in UTC, to the second.

    >>> moment(datetime(2030, 1, 2, 3, 4, 5, 600000, tzinfo=UTC))
    '2030-01-02 03:04:05'
    """
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(length: timedelta) -> str:
    """A length of time in its two largest units.

    >>> [span(timedelta(seconds=each)) for each in (0.5234, 75, 7384, 266400)]
    ['0.52 s', '1 min 15 s', '2 h 3 min', '3 d 2 h']
    """
    seconds = length.total_seconds()
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
