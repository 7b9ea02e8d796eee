"""A terminal that is borrowed and given back as it was. The one module that knows termios."""

from __future__ import annotations

import os
import shutil
import termios
from contextlib import suppress
from typing import Any, Final

from milo_core import ViewState
from milo_tui.frames import Size

DEFAULT: Final = ViewState(
    alt_screen=True, cursor_visible=False, window_title=None, mouse_mode=False
)
"""How an application begins."""

_IFLAG, _LFLAG, _CC = 0, 3, 6
_MOUSE_ON: Final = "\x1b[?1000h\x1b[?1006h"
_MOUSE_OFF: Final = "\x1b[?1006l\x1b[?1000l"


class Terminal:
    """Two descriptors of a terminal. Belongs to the thread that runs the application.

    Keys come unbuffered and unechoed; the signals of Ctrl-C, Ctrl-Z and Ctrl-\\\\ stay signals.
    """

    def __init__(self, reading: int, writing: int, encoding: str = "utf-8") -> None:
        self.reading = reading
        self.writing = writing
        self.encoding = encoding
        self._saved: list[Any] | None = None
        self._view = ViewState(alt_screen=False, cursor_visible=True, mouse_mode=False)

    @property
    def is_alternate(self) -> bool:
        """Whether the other screen is shown, on which nothing else is."""
        return bool(self._view.alt_screen)

    def size(self) -> Size:
        """Columns and rows, as it says; 80 by 24 if it does not."""
        with suppress(OSError):
            columns, rows = os.get_terminal_size(self.writing)
            if columns and rows:
                return Size(columns, rows)
        columns, rows = shutil.get_terminal_size()
        return Size(max(1, columns), max(1, rows))

    def enter(self, view: ViewState) -> None:
        """Have keys come at once, and look as ``view`` says.

        Raises:
            OSError: it is gone.
        """
        if self._saved is None:
            try:
                self._saved = termios.tcgetattr(self.reading)
            except termios.error as gone:
                raise OSError(*gone.args) from gone
        mode = [*self._saved]
        mode[_CC] = [*mode[_CC]]
        mode[_LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        mode[_IFLAG] &= ~(termios.IXON | termios.ICRNL | termios.INLCR | termios.ISTRIP)
        mode[_CC][termios.VMIN], mode[_CC][termios.VTIME] = 1, 0
        termios.tcsetattr(self.reading, termios.TCSADRAIN, mode)
        self.write("\x1b[22;2t")  # remember the title
        self.show(view)

    def leave(self, last: str = "") -> None:
        """Be as before; ``last`` is written before that. Again is harmless."""
        if self._saved is None:
            return
        saved, self._saved = self._saved, None
        with suppress(OSError):
            self.write(last)
            self.show(ViewState(alt_screen=False, cursor_visible=True, mouse_mode=False))
            self.write("\x1b[0m\x1b[23;2t")
        with suppress(termios.error):
            termios.tcsetattr(self.reading, termios.TCSADRAIN, saved)

    def show(self, view: ViewState) -> bool:
        """Look as ``view`` says where that differs; whether the screen is another one now."""
        now, written = self._view, []
        turned = view.alt_screen is not None and view.alt_screen != now.alt_screen
        if turned:
            written.append("\x1b[?1049h\x1b[2J\x1b[H" if view.alt_screen else "\x1b[?1049l")
        if view.cursor_visible is not None and view.cursor_visible != now.cursor_visible:
            written.append("\x1b[?25h" if view.cursor_visible else "\x1b[?25l")
        if view.window_title is not None and view.window_title != now.window_title:
            title = "".join(each for each in view.window_title if each.isprintable())
            written.append(f"\x1b]2;{title}\x1b\\")
        if view.mouse_mode is not None and view.mouse_mode != now.mouse_mode:
            written.append(_MOUSE_ON if view.mouse_mode else _MOUSE_OFF)
        self._view = ViewState(
            *(
                getattr(now if getattr(view, name) is None else view, name)
                for name in ("alt_screen", "cursor_visible", "window_title", "mouse_mode")
            )
        )
        self.write("".join(written))
        return turned

    def clear(self) -> None:
        """Have nothing on the screen, as after a change of its size."""
        self.write("\x1b[0m\x1b[2J\x1b[H" if self.is_alternate else "\r\x1b[J")

    def write(self, text: str) -> None:
        """Write all of ``text``."""
        left = memoryview(text.encode(self.encoding, "replace"))
        while left:
            left = left[os.write(self.writing, left) :]

    def read(self) -> bytes:
        """What has been typed; nothing when the terminal is gone."""
        try:
            return os.read(self.reading, 4096)
        except BlockingIOError:
            return b""
        except OSError:  # it has hung up
            return b""
