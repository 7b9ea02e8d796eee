"""The mouse, where a ``ViewState`` has asked for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

MOUSE: Final = "@@MOUSE"
"""A button or the wheel was moved; the payload is a ``Mouse``."""

_REPORT: Final = re.compile(r"\x1b\[<(\d{1,5});(\d{1,5});(\d{1,5})([Mm])")
_BUTTONS: Final = ("left", "middle", "right", "none")
_SHIFT, _ALT, _CTRL, _MOVED, _WHEEL = 4, 8, 16, 32, 64


@dataclass(frozen=True, slots=True)
class Mouse:
    """What the mouse has done, and where: ``column`` and ``row`` are 0 at the top left."""

    kind: Literal["press", "release", "move", "scroll_up", "scroll_down"]
    column: int
    row: int
    button: str = "none"
    ctrl: bool = False
    alt: bool = False
    shift: bool = False


def mouse_of(sequence: str) -> Mouse | None:
    """What a sequence of a terminal tells, if it tells of the mouse.

    >>> mouse_of("\\x1b[<0;10;5M")
    Mouse(kind='press', column=9, row=4, button='left', ctrl=False, alt=False, shift=False)
    """
    found = _REPORT.fullmatch(sequence)
    if found is None:
        return None
    code, column, row = (int(found[n]) for n in (1, 2, 3))
    button = _BUTTONS[code & 3]
    kind: Literal["press", "release", "move", "scroll_up", "scroll_down"] = "press"
    if code & _WHEEL:
        if code & 2:  # a wheel that goes sideways
            return None
        kind, button = ("scroll_down" if code & 1 else "scroll_up"), "none"
    elif code & _MOVED:
        kind = "move"
    elif found[4] == "m":
        kind = "release"
    return Mouse(
        kind,
        max(0, column - 1),
        max(0, row - 1),
        button,
        ctrl=bool(code & _CTRL),
        alt=bool(code & _ALT),
        shift=bool(code & _SHIFT),
    )
