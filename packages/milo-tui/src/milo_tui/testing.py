"""An application on a virtual terminal: press keys, read the screen. Needs the extra ``testing``.

with running(App(reducer=count, initial_state=0, view=show)) as screen:
    screen.press("+", "+")
    screen.wait_for("2 clicks")
    screen.press("q")
assert screen.result == 2
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Final

import pyte
from pyte import modes

from milo_tui.app import App
from milo_tui.loop import Waker, wait
from milo_tui.terminal import Terminal

PATIENCE: Final = 30.0
"""Seconds that only a hang exceeds."""

_ALTERNATE: Final = 1049 << 5
_SENT: Final = {
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "page_up": "\x1b[5~",
    "page_down": "\x1b[6~",
    "insert": "\x1b[2~",
    "delete": "\x1b[3~",
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "backspace": "\x7f",
    "space": " ",
}


class Emulator(pyte.Screen):
    """pyte's screen, with the other screen that pyte does without."""

    def __init__(self, columns: int, lines: int) -> None:
        self._first: tuple[Any, Any] | None = None
        super().__init__(columns, lines)

    def set_mode(self, *given: int, **options: Any) -> None:
        """Also to the other screen, which is empty."""
        if options.get("private") and 1049 in given and self._first is None:
            self._first = deepcopy(self.buffer), deepcopy(self.cursor)
        super().set_mode(*given, **options)

    def reset_mode(self, *given: int, **options: Any) -> None:
        """Also back to the first screen, as it was."""
        super().reset_mode(*given, **options)
        if options.get("private") and 1049 in given and self._first is not None:
            self.buffer, cursor = self._first
            self.cursor.x, self.cursor.y = cursor.x, cursor.y
            self._first = None
            self.dirty.update(range(self.lines))

    @property
    def is_alternate(self) -> bool:
        """Whether the other screen is shown."""
        return self._first is not None


class VirtualTerminal:
    """A pseudo-terminal, and an emulator that shows what is written to it.

    ``slave`` is the descriptor that a program is given. A thread reads what it writes.
    """

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self._master, self.slave = pty.openpty()
        self._screen = Emulator(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self.written = 0
        """How many bytes have come."""
        VirtualTerminal.resize(self, width, height)
        self._waker = Waker()
        self._thread = threading.Thread(target=self._read, name="milo-terminal", daemon=True)
        self._thread.start()

    @property
    def rows(self) -> list[str]:
        """What is shown, without spaces at the ends of rows."""
        with self._changed:
            return [row.rstrip() for row in self._screen.display]

    @property
    def text(self) -> str:
        """What is shown, without empty rows at the end."""
        return "\n".join(self.rows).rstrip("\n")

    @property
    def title(self) -> str:
        """The title of the window."""
        with self._changed:
            return str(self._screen.title)

    @property
    def is_alternate(self) -> bool:
        """Whether the other screen is shown."""
        with self._changed:
            return self._screen.is_alternate

    @property
    def is_cursor_visible(self) -> bool:
        """Whether the cursor is shown."""
        with self._changed:
            return modes.DECTCEM in self._screen.mode

    def press(self, *keys: str) -> None:
        """Send keys, one after the other: a character, or a name as ``page_up``, ``ctrl+c``."""
        for key in keys:
            self.send(_sent(key))

    def type(self, text: str) -> None:
        """Send text as it is."""
        self.send(text.encode())

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        os.write(self._master, data)

    def resize(self, width: int, height: int) -> None:
        """Have another size; the program is told by the terminal, if that is its own."""
        with self._changed:
            self._screen.resize(height, width)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def wait_for(self, wanted: str | Callable[[str], bool], patience: float = PATIENCE) -> str:
        """Wait until ``wanted`` is shown, or holds for what is; the text.

        Raises:
            AssertionError: it was not within ``patience`` seconds.
        """
        holds = wanted if callable(wanted) else lambda text: wanted in text
        with self._changed:
            found = self._changed.wait_for(lambda: holds(self._text()), patience)
            assert found, f"this was waited for: {wanted!r}; this is shown:\n{self._text()}"
            return self._text()

    def modes(self) -> list[Any]:
        """How the terminal treats what is typed, to be compared."""
        return termios.tcgetattr(self.slave)

    def hang_up(self) -> None:
        """Be gone, as a window that is closed; again is harmless."""
        self._waker.wake()
        self._thread.join()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def close(self) -> None:
        """Hang up, and give everything back."""
        self.hang_up()
        os.close(self.slave)
        self._waker.close()

    def _text(self) -> str:
        return "\n".join(row.rstrip() for row in self._screen.display).rstrip("\n")

    def _read(self) -> None:
        while self._waker.reading not in wait([self._master, self._waker.reading], None):
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # nobody has the other end
                return
            with self._changed:
                self._stream.feed(data)
                self.written += len(data)
                self._changed.notify_all()


class Running(VirtualTerminal):
    """A virtual terminal with an application on it.

    Attributes:
        result: the last state, once it has quit.
    """

    def __init__(self, app: App[Any], width: int, height: int) -> None:
        super().__init__(width, height)
        self.result: Any = None
        self._error: BaseException | None = None
        app._terminal = Terminal(self.slave, self.slave)
        self._shown = app
        self._app = threading.Thread(target=self._run, args=(app,), name="milo-app", daemon=True)
        self._app.start()

    def resize(self, width: int, height: int) -> None:
        """Have another size, and tell the application."""
        super().resize(width, height)
        session = self._shown._session if hasattr(self, "_shown") else None
        if session is not None:
            session.hear(signal.SIGWINCH)

    def join(self) -> Any:
        """Wait for the end of the application; its last state.

        Raises:
            BaseException: what ``run`` has raised.
        """
        self._app.join(PATIENCE)
        assert not self._app.is_alive(), f"it has not quit; this is shown:\n{self.text}"
        if self._error is not None:
            raise self._error
        return self.result

    def close(self) -> None:
        """Hang up, which ends the application, and give everything back."""
        self.hang_up()
        self._app.join()
        super().close()

    def _run(self, app: App[Any]) -> None:
        try:
            self.result = app.run()
        except BaseException as error:  # raised again by join
            self._error = error


@contextmanager
def running(app: App[Any], width: int = 80, height: int = 24) -> Iterator[Running]:
    """``app`` on a terminal, on a thread of its own; the block's end waits for it to quit.

    There it hears no signals: keys it does.
    """
    screen = Running(app, width, height)
    try:
        yield screen
        screen.join()
    finally:
        screen.close()


def _sent(key: str) -> bytes:
    if key in _SENT:
        return _SENT[key].encode()
    if key.startswith("ctrl+"):
        return bytes([ord(key[-1].upper()) & 0x1F])
    if key.startswith("alt+"):
        return b"\x1b" + _sent(key.removeprefix("alt+"))
    return key.encode()


__all__ = ["Running", "VirtualTerminal", "running"]
