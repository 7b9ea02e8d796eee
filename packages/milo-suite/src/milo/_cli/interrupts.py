"""Ctrl-C and its relatives as messages: nothing is torn up where it happens to be."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

WINDING_DOWN = "interrupted, waiting for running phases to end; Ctrl-C again leaves at once"

_told: set[socket.socket] = set()
"""Where signals of this process are written, if anywhere."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


@contextmanager
def signals_told_to(tell: Callable[[int], None]) -> Iterator[None]:
    """Have ``tell`` called with each SIGINT, SIGTERM or SIGHUP instead of what they do.

    ``tell`` is called on a thread of its own, so whoever waits for what it says is woken
    however the signal came: a handler alone runs only once the main thread gets to it, and one
    that comes just before that thread waits for a lock would be seen after the wait. The third
    time a signal comes it has its default effect, should nobody be listening. Signals that were
    ignored when the command began stay ignored, as ``nohup`` wants. Not on the main thread this
    does nothing.
    """
    if not _on_main_thread():
        yield
        return
    come: dict[int, int] = {}

    def arrived(signum: int, frame: FrameType | None) -> None:
        come[signum] = come.get(signum, 0) + 1
        if come[signum] == 2:
            signal.signal(signum, signal.SIG_DFL)

    handled = tuple(_signals_not_ignored())
    with _each_byte_told(lambda signum: tell(signum) if signum in handled else None) as written:
        before = [(signum, signal.signal(signum, arrived)) for signum in handled]
        beside = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
        _told.add(written)
        try:
            yield
        finally:
            _told.discard(written)
            signal.set_wakeup_fd(beside)
            for signum, handler in before:
                signal.signal(signum, handler)


@contextmanager
def _each_byte_told(tell: Callable[[int], None]) -> Iterator[socket.socket]:
    """Where to write bytes, each of which ``tell`` is called with, before the block is left."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)

    def read() -> None:
        while arrived := reading.recv(64):
            for each in arrived:
                tell(each)

    thread = threading.Thread(target=read, name="milo-signals", daemon=True)
    with reading, writing:
        thread.start()
        try:
            yield writing
        finally:  # also when the block raises: the thread still reads
            writing.close()
            thread.join()


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


def _tell_nobody_in_forked_child() -> None:
    # Its signals are its own: the parent would take one Ctrl-C for two.
    if _told:
        _told.clear()
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_tell_nobody_in_forked_child)
