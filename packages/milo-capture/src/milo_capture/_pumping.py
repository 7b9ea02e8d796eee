"""What comes out of pipes, as text, on the thread that waits for it."""

import codecs
import os
import selectors
import threading
from collections.abc import Callable
from time import monotonic

from milo_capture._lines import StreamName

# All that a pipe can hold unless its owner is privileged, so that one read empties it.
_ALL_OF_IT = 1 << 20


class Bell:
    """Wakes a thread that waits in a selector; may be rung from anywhere, also when closed."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # So that nobody writes to a file descriptor that has another owner by now.
        # Re-entrant, because a signal handler may ring.
        self._lock = threading.RLock()
        self._open = True

    def fileno(self) -> int:
        return self._reader

    def ring(self) -> None:
        with self._lock:
            if self._open:
                try:
                    os.write(self._writer, b"!")
                except BlockingIOError:  # it has been rung often enough to be heard
                    return

    def heard(self) -> None:
        """Wait again for the next ring."""
        os.read(self._reader, 4096)

    def close(self) -> None:
        with self._lock:
            self._open = False
            os.close(self._reader)
            os.close(self._writer)


class Pump:
    """Reads pipes and writes to one, as long as its owner attends to them.

    ``show(stream, text)`` gets the text of the pipes in the order in which it came, on the
    thread that calls ``attend``. A character that is cut in two by a read arrives whole.
    """

    def __init__(self, show: Callable[[StreamName, str], object]) -> None:
        self._show = show
        self._selector = selectors.DefaultSelector()
        self._open_pipes = 0
        self.bell = Bell()
        self._selector.register(self.bell, selectors.EVENT_READ, self.bell.heard)

    @property
    def has_ended(self) -> bool:
        """Has every pipe that is read come to its end?"""
        return not self._open_pipes

    def read(self, pipe: int, stream: StreamName, encoding: str, errors: str) -> None:
        """From now on, what comes out of ``pipe`` is shown as text of ``stream``."""
        decode = codecs.getincrementaldecoder(encoding)(errors).decode

        def show(data: bytes) -> None:
            if text := decode(data, not data):
                self._show(stream, text)

        self.read_bytes(pipe, show)

    def read_bytes(self, pipe: int, take: Callable[[bytes], object]) -> None:
        """From now on, ``take`` gets what comes out of ``pipe``, and ``b""`` at its end."""
        os.set_blocking(pipe, False)

        def read_some() -> None:
            try:
                data = os.read(pipe, _ALL_OF_IT)
            except BlockingIOError:  # ready, and then it was not
                return
            if not data:
                self._selector.unregister(pipe)
                self._open_pipes -= 1
            take(data)

        self._selector.register(pipe, selectors.EVENT_READ, read_some)
        self._open_pipes += 1

    def write(self, pipe: int, data: bytes, close: Callable[[], object]) -> None:
        """Write ``data`` as fast as it is taken, then ``close``, also when nobody takes more."""
        rest = memoryview(data)
        os.set_blocking(pipe, False)

        def write_some() -> None:
            nonlocal rest
            try:
                rest = rest[os.write(pipe, rest[:_ALL_OF_IT]) :]
            except BlockingIOError:
                return
            except BrokenPipeError:  # who does not read its input to the end need not
                rest = rest[:0]
            if not rest:
                self._selector.unregister(pipe)
                close()

        self._selector.register(pipe, selectors.EVENT_WRITE, write_some)

    def attend(self, until: Callable[[], bool], deadline: float | None) -> bool:
        """Move what can be moved until ``until()``, answering ``True``, or the deadline, ``False``.

        ``until`` is asked after every move and every ring of the bell. Even past the deadline
        everything is moved once that was ready then, so what was in the pipes is not lost.
        """
        while not until():
            left = None if deadline is None else max(0.0, deadline - monotonic())
            for key, _ in self._selector.select(left):
                key.data()
            if left == 0.0:
                return until()
        return True

    def close(self) -> None:
        """Let go of the selector and the bell; the pipes belong to their owners."""
        self._selector.close()
        self.bell.close()
