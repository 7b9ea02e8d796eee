"""Taking a lock that many threads take all the time, under a GIL.

Whoever holds such a lock for a few instructions is rarely met running: it was stopped by the
GIL in the middle. To wait for the lock then is the worst to do, for the holder goes on to take
and give it a thousand times before the GIL changes hands again, and every time the system
wakes the waiting thread for nothing. So a thread that finds the lock taken first gives its
place to the holder. Without a GIL the lock's own way of waiting is right.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from itertools import repeat
from time import sleep

_HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
_TURNS = 4


def first_try(lock: threading.Lock | threading.RLock) -> Callable[[], bool]:
    """What tries to take ``lock``, and says whether it has: if not, ``wait_for`` it.

    Without a GIL it waits itself.
    """
    return partial(lock.acquire, False) if _HAS_GIL else lock.acquire


def wait_for(lock: threading.Lock | threading.RLock) -> None:
    """Take ``lock``, which was just found taken. Ctrl-C may come before it is, or after."""
    if _HAS_GIL:
        for _ in repeat(None, _TURNS):
            sleep(0)
            if lock.acquire(False):
                return
    lock.acquire()


def give_way(lock: threading.Lock) -> None:
    """Before taking ``lock`` on any thread: let its holder finish first."""
    if _HAS_GIL and lock.locked():
        sleep(0)


def ownership(lock: threading.RLock) -> Callable[[], bool]:
    """What tells whether the calling thread holds ``lock``, as ``threading.Condition`` asks."""
    return lock._is_owned  # type: ignore[attr-defined, no-any-return]  # it has no public name


def holds(lock: threading.RLock) -> bool:
    """Whether the calling thread holds ``lock``."""
    return ownership(lock)()
