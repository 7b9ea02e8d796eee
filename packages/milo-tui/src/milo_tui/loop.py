"""Waiting for whatever comes first: a key, a change, a signal, or the time for a frame."""

from __future__ import annotations

import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGWINCH", "SIGTSTP", "SIGCONT")


class Waker:
    """A pipe to the thread that waits; any thread, and any signal handler, may ``wake`` it."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        os.set_blocking(self.reading, False)
        os.set_blocking(self._writing, False)
        self._is_set = False

    def wake(self) -> None:
        """End the wait, or the next one; costs nothing if that is due already."""
        if self._is_set:
            return
        self._is_set = True
        with suppress(OSError):  # full: it will wake; closed: nobody waits
            os.write(self._writing, b"\0")

    def drain(self) -> None:
        """Have the next wait last; called by the waiting thread, before it looks at what changed.

        In this order: a wake between the two is of a change that is seen afterwards.
        """
        with suppress(BlockingIOError):
            os.read(self.reading, 4096)
        self._is_set = False

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self.reading)
        os.close(self._writing)
        self._is_set = True


def wait(descriptors: list[int], timeout: float | None) -> list[int]:
    """Those of ``descriptors`` that have something to read, once one has or the time is up."""
    with selectors.SelectSelector() as selector:
        for each in descriptors:
            selector.register(each, selectors.EVENT_READ)
        return [key.fd for key, _ in selector.select(timeout)]


@contextmanager
def signals_to(hear: Callable[[int], None]) -> Iterator[None]:
    """In the block, signals call ``hear`` on the main thread; elsewhere nothing is done.

    Those that were ignored stay so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def arrived(signum: int, frame: FrameType | None) -> None:
        hear(signum)

    before = []
    for name in SIGNALS:
        signum = getattr(signal, name)
        if signal.getsignal(signum) is not signal.SIG_IGN:
            before.append((signum, signal.signal(signum, arrived)))
    try:
        yield
    finally:
        for signum, handler in before:
            signal.signal(signum, handler)


class Pace:
    """When the next frame is due: at most ``per_second`` of them."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = 0.0

    def until_due(self) -> float:
        """Seconds; 0 when it is due."""
        return max(0.0, self._next - time.monotonic())

    def drawn(self) -> None:
        """A frame has been drawn."""
        self._next = time.monotonic() + self._interval
