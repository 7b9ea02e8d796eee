"""From what a view returns to rows of text, each no wider than the terminal. rich renders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from io import StringIO
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from milo_tui.symbols import ASCII, UNICODE, symbols_for

# C0 without the line's end, DEL and C1: what would do something to a terminal.
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


# What our views draw with, for terminals whose alphabet has no more than letters; as wide.
_PLAINER: Final = {
    ord(ours): plain
    for ours, plain in [
        *zip(astuple(UNICODE), astuple(ASCII), strict=True),
        *zip("▸━─▏↑↓←→⏎⏸▶–", ">=-|^v<><|>-", strict=True),
    ]
    if len(plain) == 1
}


class Size(NamedTuple):
    """Columns and rows of a terminal, each at least one.

    ``is_plain`` is whether it is none: a frame for it is printed once, as long as it is, and
    nobody can press a key.
    """

    width: int
    height: int
    is_plain: bool = False


class Painter:
    """Renders views for one terminal. Belongs to the thread that draws."""

    def __init__(self, *, color: bool, encoding: str = "utf-8") -> None:
        system = None if not color else ("auto" if os.environ.get("COLORTERM") else "256")
        self._file = StringIO()
        self._console = Console(
            file=self._file,
            force_terminal=color,
            color_system=system,  # type: ignore[arg-type]  # a literal of theirs
            no_color=not color,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
            width=80,
            height=24,
        )
        self._system = self._console._color_system
        self._encoding = encoding
        self._is_unicode = symbols_for(encoding) is UNICODE

    def rows(self, shown: Any, size: Size) -> list[str]:
        """``shown`` as the rows of a frame: a rich renderable, or text."""
        if isinstance(shown, str):
            shown = Text(shown)
        options = self._console.options.update(
            width=size.width, height=None, max_width=size.width, no_wrap=None
        )
        lines = self._console.render_lines(shown, options, pad=False, new_lines=False)
        return [self._row(line) for line in lines[: size.height]]

    def _row(self, line: Iterable[Segment]) -> str:
        pieces = []
        for text, style, control in line:
            if control or not text:
                continue
            pieces.append(self._styled(_harmless(text), style))
        row = "".join(pieces)
        if self._is_unicode:
            return row
        return row.translate(_PLAINER).encode(self._encoding, "replace").decode(self._encoding)

    def _styled(self, text: str, style: Style | None) -> str:
        if style is None or self._system is None:
            return text
        return style.render(text, color_system=self._system)


def _harmless(text: str) -> str:
    return _CONTROL.sub("", text.replace("\t", " ")) if _CONTROL.search(text) else text


def plain_rows(shown: Any, size: Size) -> Sequence[str]:
    """``shown`` without colours, for where there is no terminal."""
    return Painter(color=False).rows(shown, size)
