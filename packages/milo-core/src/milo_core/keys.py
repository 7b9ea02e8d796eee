"""Keys as reducers see them: what ``@@KEY`` carries. Reading a keyboard is milo-tui's work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SpecialKey(Enum):
    """Keys that stand for no character."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    HOME = "home"
    END = "end"
    PAGE_UP = "page_up"
    PAGE_DOWN = "page_down"
    ENTER = "enter"
    ESCAPE = "escape"
    TAB = "tab"
    BACKSPACE = "backspace"
    DELETE = "delete"
    INSERT = "insert"
    F1 = "f1"
    F2 = "f2"
    F3 = "f3"
    F4 = "f4"
    F5 = "f5"
    F6 = "f6"
    F7 = "f7"
    F8 = "f8"
    F9 = "f9"
    F10 = "f10"
    F11 = "f11"
    F12 = "f12"


@dataclass(frozen=True, slots=True)
class Key:
    """One key press: a character in ``char`` or a special key in ``name``, and its modifiers.

    >>> Key(char="q")
    Key(char='q', name=None, ctrl=False, alt=False, shift=False)
    """

    char: str = ""
    name: SpecialKey | None = None
    ctrl: bool = False
    alt: bool = False
    shift: bool = False
