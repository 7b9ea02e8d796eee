"""Blocking until a run has ended, and hearing meanwhile of the event that is to cancel it.

A saga hears of an event by the ``set`` of that event, which it wraps. A ``set`` that was looked
up before, as in ``Timer(60, cancel.set)`` made earlier, it does not hear. The thread that waits
for a run has nothing else to do, so it waits for the event as well: in the event's own line of
waiting threads, where whoever sets it must come by.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from milo_effects import SagaCancelled, SagaTask


def wait_for_end(task: SagaTask, cancel: threading.Event | None = None) -> None:
    """Block until the saga has ended; cancel it when ``cancel`` is set, however that is done.

    That it was cancelled shows in the state. What else it raised is raised.
    """
    if cancel is not None and not task.done():
        _wait_for_either(task, cancel)
        if cancel.is_set():
            task.cancel()
    with suppress(SagaCancelled):
        task.result()


def _wait_for_either(task: SagaTask, cancel: threading.Event) -> None:
    """Return when ``cancel`` is set or the task has ended, whichever comes first."""
    condition: Any = getattr(cancel, "_cond", None)
    waiting = getattr(condition, "_waiters", None)
    if waiting is None:  # another implementation of events
        return
    latch = _Latch()
    task.add_done_callback(lambda _: latch.release())
    with condition:
        if cancel.is_set():
            latch.release()
        waiting.append(latch)
    try:
        latch.wait()
    finally:
        with condition, suppress(ValueError):
            waiting.remove(latch)


class _Latch:
    """Stands among an event's waiting threads, each of which is a lock that is let go of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def release(self) -> None:
        with suppress(RuntimeError):  # the other was first
            self._lock.release()

    def wait(self) -> None:
        self._lock.acquire()
