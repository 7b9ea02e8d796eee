"""Keeping Ctrl-C out of a few lines that it must not tear apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """A SIGINT that arrives in the block is handled at its end, as it would have been in it.

    Does nothing on threads other than the main one, where no signal is handled, and where
    SIGINT is ignored or left to the system.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    noted: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda signum, frame: noted.append((signum, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    for signum, frame in noted:
        usual(signum, frame)
