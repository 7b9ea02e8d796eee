"""Ctrl-C and its relatives as messages: nothing is torn up where it happens to be."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

WINDING_DOWN = "interrupted, waiting for running phases to end; Ctrl-C again leaves at once"

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def signals_told_to(tell: Callable[[int], None]) -> Iterator[None]:
    """Have ``tell`` called with each SIGINT, SIGTERM or SIGHUP instead of what they do.

    ``tell`` is called inside the signal handler, so it must be safe to enter anywhere, as
    ``SimpleQueue.put`` is. The third time a signal comes it has its default effect, should
    nobody be listening. Signals that were ignored when the command began stay ignored, as
    ``nohup`` wants. Not on the main thread this does nothing.
    """
    come: dict[int, int] = {}

    def arrived(signum: int, frame: FrameType | None) -> None:
        come[signum] = come.get(signum, 0) + 1
        if come[signum] == 2:
            signal.signal(signum, signal.SIG_DFL)
        tell(signum)

    handled = list(_signals_not_ignored()) if _on_main_thread() else []
    before = [(signum, signal.signal(signum, arrived)) for signum in handled]
    try:
        yield
    finally:
        for signum, handler in before:
            signal.signal(signum, handler)


def exit_code_of(signum: int) -> int:
    """What a shell reports for a program that ``signum`` ended: 130 for Ctrl-C."""
    return 128 + signum


def leave_at_once(code: int) -> NoReturn:
    """End the process without waiting for threads that are still at work."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _signals_not_ignored() -> Iterator[int]:
    for name in _NAMES:
        signum = getattr(signal, name, None)
        if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
            yield signum


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
