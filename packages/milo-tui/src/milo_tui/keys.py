"""From the bytes of a terminal to ``Key`` and ``Mouse``. prompt_toolkit knows the sequences."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from dataclasses import replace
from typing import Final

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.keys import Keys

from milo_core import Key, SpecialKey
from milo_tui.mouse import Mouse, mouse_of

# A whole sequence, or the beginning of one that has not arrived yet.
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|(?!\[|O)[^\x1b])", re.DOTALL)
_BEGUN: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")
_LONGEST: Final = 64
"""Characters that a sequence has at most; whatever is longer is none."""

_NAMES: Final = {
    **{each.value.replace("_", ""): each for each in SpecialKey},
    "c-m": SpecialKey.ENTER,
    "c-j": SpecialKey.ENTER,
    "c-i": SpecialKey.TAB,
    "c-h": SpecialKey.BACKSPACE,
}
_PREFIXES: Final = (("c-s-", True, True), ("c-", True, False), ("s-", False, True))


class KeyReader:
    """Takes bytes as they come and gives the keys that they stand for, and what the mouse does.

    Sequences that nobody knows are no keys, and never fall apart into some: an Escape that was
    not pressed would close what it was not meant to. Bytes that are no UTF-8 are the character
    U+FFFD.

    >>> KeyReader().feed(b"q\\x1b[A")
    [Key(char='q', ...), Key(char='', name=<SpecialKey.UP: 'up'>, ...)]
    """

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._text = ""

    @property
    def is_waiting(self) -> bool:
        """Whether what has come may be the Escape key, or the beginning of a sequence."""
        return bool(self._text)

    def feed(self, data: bytes) -> list[Key | Mouse]:
        """The keys that are complete with ``data``."""
        return self._read(self._decoder.decode(data), ended=False)

    def flush(self) -> list[Key | Mouse]:
        """The keys that they were, now that nothing has followed for a while."""
        return self._read("", ended=True)

    def _read(self, text: str, *, ended: bool) -> list[Key | Mouse]:
        keys: list[Key | Mouse | None] = []
        text = self._text + text
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                keys.append(_character(text[at]))
                at += 1
            elif found := _SEQUENCE.match(text, at):
                keys.append(_sequence(found[0]))
                at = found.end()
            elif not ended and len(text) - at < _LONGEST and _BEGUN.match(text, at):
                break
            else:
                begun = _BEGUN.match(text, at)
                at = at + 1 if begun is None else begun.end()
                keys.append(_unfinished("" if begun is None else begun[0][1:]))
        self._text = text[at:]
        return [key for key in keys if key is not None]


def _unfinished(behind: str) -> Key | None:
    """What an Escape was that nothing has followed but ``behind``."""
    if not behind:
        return Key(name=SpecialKey.ESCAPE)
    return Key(char=behind, alt=True) if len(behind) == 1 else None


def _sequence(text: str) -> Key | Mouse | None:
    if text in ANSI_SEQUENCES:
        return _known(ANSI_SEQUENCES[text])
    return _with_alt(_character(text[1])) if len(text) == 2 else mouse_of(text)


def _character(text: str) -> Key | None:
    if text in ANSI_SEQUENCES:
        return _known(ANSI_SEQUENCES[text])
    return Key(char=text) if text.isprintable() else None


def _known(keys: Keys | tuple[Keys, ...]) -> Key | None:
    if not isinstance(keys, tuple):
        return _named(keys)
    first, *others = keys  # with Alt, a key has an Escape before it
    return _with_alt(_named(others[0])) if first is Keys.Escape and len(others) == 1 else None


def _with_alt(key: Key | None) -> Key | None:
    return None if key is None else replace(key, alt=True)


def _named(key: Keys) -> Key | None:
    name, ctrl, shift = key.value, False, False
    if name in _NAMES:
        return Key(name=_NAMES[name])
    for prefix, with_ctrl, with_shift in _PREFIXES:
        if name.startswith(prefix):
            name, ctrl, shift = name.removeprefix(prefix), with_ctrl, with_shift
            break
    if name == "@":
        return Key(char=" ", ctrl=True)
    if name in _NAMES:
        return Key(name=_NAMES[name], ctrl=ctrl, shift=shift)
    if len(name) == 1:
        return Key(char=name, ctrl=ctrl, shift=shift)
    return None
