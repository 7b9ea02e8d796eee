"""Text of foreign origin, as something to look at: no sign in it does anything."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from milo_pipeline.text import ESCAPE_SEQUENCES
from milo_pipeline.text import in_words as seconds_in_words

# Controls, line separators, marks that turn text around, and what XML or UTF-8 cannot hold.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def visible(text: str) -> str:
    """``text`` on one line, with a picture or an escape for each sign that shows nothing.

    >>> visible("one\\ntwo\\x9b")
    'one␊two\\\\x9b'
    """
    return text if text.isprintable() else _UNSEEN.sub(_picture, text)


def readable(line: str) -> str:
    """A printed line as a terminal shows it in the end, less its colours; tabs become spaces.

    >>> readable("10%\\r\\x1b[32m20%\\x1b[0m")
    '20%'
    """
    if line.isprintable():
        return line
    writings = [part for part in ESCAPE_SEQUENCES.sub("", line).split("\r") if part.strip()]
    return visible((writings[-1] if writings else "").expandtabs(8))


def lines_of(text: str) -> str:
    """``text`` with its line ends and nothing else unseen, as for a traceback."""
    return "\n".join(readable(line) for line in text.split("\n"))


def markup(text: str) -> str:
    """``visible(text)`` as it stands in HTML and XML, also between quotes.

    >>> markup('<b a="1">')
    '&lt;b a=&quot;1&quot;&gt;'
    """
    return escape(visible(text))


def shortened(text: str, most: int) -> str:
    """The first signs of ``text``, at most ``most``, the last one telling that there are more.

    >>> shortened("discover", 5)
    'disc…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def in_words(seconds: float) -> str:
    """A duration as people write it, less than a second in milliseconds.

    >>> in_words(0.0123), in_words(2.5), in_words(75), in_words(7384)
    ('12 ms', '2.50 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return seconds_in_words(seconds)


def counted(number: int, noun: str) -> str:
    """The number with its noun.

    >>> counted(1, "phase"), counted(6, "phase")
    ('1 phase', '6 phases')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
