"""Time: the clock protocol, and the one timer heap that serves every delay and timeout."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from milo_core import StateError
from milo_effects._threads import BackgroundThread

_log = logging.getLogger(__name__)


class Timer(Protocol):
    """Something that will happen, unless it is cancelled."""

    def cancel(self) -> None:
        """Have it not happen. Harmless when it has."""


class Clock(Protocol):
    """Where sagas get their time from."""

    def now(self) -> float:
        """Monotonic seconds."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call ``callback`` once, in ``seconds``. It must be quick: all timers wait for it.

        Raises:
            StateError: the clock has been closed, so the time would never come.
        """

    def close(self) -> None:
        """Forget every timer."""


class _Entry:
    """One place in the heap. Cancelling only empties it; the heap drops it later."""

    __slots__ = ("_heap", "callback")

    def __init__(self, heap: TimerHeap, callback: Callable[[], object]) -> None:
        self._heap = heap
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self._heap.drop(self)


class TimerHeap:
    """A clock on ``time.monotonic``. Callbacks run on its one thread, started when needed.

    The thread sleeps until the earliest timer is due or an earlier one is set. Cancelled
    timers are swept out once they make up half of the heap, so that short-lived timeouts of
    an hour do not pile up.
    """

    _SWEEP_FROM = 64

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, _Entry]] = []
        self._order = itertools.count()
        self._dead = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def now(self) -> float:
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        entry = _Entry(self, callback)
        due = time.monotonic() + seconds
        start: threading.Thread | None = None
        with self._changed:
            if self._closed:
                raise StateError("the runtime has been shut down and sets no more timers")
            heapq.heappush(self._heap, (due, next(self._order), entry))
            if self._thread is None:
                start = self._thread = BackgroundThread(
                    name="milo-timers", target=self._work, daemon=True
                )
            elif self._heap[0][2] is entry:
                self._changed.notify()
        if start is not None:
            self._start(start, entry)
        return entry

    def _start(self, thread: threading.Thread, entry: _Entry) -> None:
        try:
            thread.start()
        except RuntimeError:  # the system is out of threads; the next timer tries again
            with self._changed:
                self._thread = None
            entry.cancel()
            raise

    def drop(self, entry: _Entry) -> None:
        with self._changed:
            if entry.callback is None:
                return
            entry.callback = None
            if self._closed:
                return
            self._dead += 1
            if self._dead > self._SWEEP_FROM and self._dead * 2 > len(self._heap):
                self._heap = [item for item in self._heap if item[2].callback is not None]
                heapq.heapify(self._heap)
                self._dead = 0

    def pending(self) -> int:
        """How many timers are set and not cancelled."""
        with self._changed:
            return len(self._heap) - self._dead

    def close(self) -> None:
        """Forget every timer and end the thread."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._dead = 0
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join()

    def _work(self) -> None:
        while (due := self._next_due()) is not None:
            _call_all(due)
            del due  # while it sleeps, the thread keeps nothing of what it has called

    def _next_due(self) -> list[Callable[[], object]] | None:
        """Wait for the next timers and take them off the heap; ``None`` when closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                due = self._pop_due(now)
                if due:
                    return due
                self._changed.wait(self._until_next(now))
            return None

    def _until_next(self, now: float) -> float | None:
        """How long to sleep; a timer in a thousand years, or never, is no reason to overflow."""
        return min(self._heap[0][0] - now, threading.TIMEOUT_MAX) if self._heap else None

    def _pop_due(self, now: float) -> list[Callable[[], object]]:
        due: list[Callable[[], object]] = []
        heap = self._heap
        while heap and (heap[0][0] <= now or heap[0][2].callback is None):
            callback = heapq.heappop(heap)[2]
            if callback.callback is None:
                self._dead -= 1
            else:
                due.append(callback.callback)
                callback.callback = None
        return due


def _call_all(due: list[Callable[[], object]]) -> None:
    for callback in due:
        try:
            callback()
        except BaseException:  # a plugin's callback; the other timers must go on
            _log.exception("timer callback %r raised", callback)
