"""``VirtualClock``: time that passes only when it is told to.

>>> clock = VirtualClock()
>>> timer = clock.call_later(60, lambda: print("a minute"))
>>> clock.advance(59)
>>> clock.advance(1)
a minute
>>> clock.now()
60.0
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from milo_core import StateError


class VirtualTimer:
    """One timer of a ``VirtualClock``."""

    __slots__ = ("_callback", "_clock")

    def __init__(self, clock: VirtualClock, callback: Callable[[], object]) -> None:
        self._clock = clock
        self._callback: Callable[[], object] | None = callback

    @property
    def is_set(self) -> bool:
        """Whether it has neither been cancelled nor come to its end."""
        return self._callback is not None

    def cancel(self) -> None:
        """Have it not happen. Harmless when it has."""
        self._clock._take(self)

    def fire(self) -> None:
        """Have it happen now, if it is set. What the callback raises is raised."""
        callback = self._clock._take(self)
        if callback is not None:
            callback()


class VirtualClock:
    """A clock for tests, in which an hour takes no time: ``SagaRuntime(host, clock=clock)``.

    Callbacks run on the thread that lets time pass, in the order of their times; those of
    equal times in the order in which they were set. One that raises ends ``advance`` at its
    time; calling that again goes on with the next. Timers may be set and cancelled from any
    thread. Where sagas run on real workers, ``store.wait_idle()`` before time passes makes
    sure that they have set their timers.

    Args:
        start: what ``now`` says at first.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = float(start)
        self._lock = threading.Lock()
        self._heap: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()
        self._pending = 0
        self._closed = False

    # As every clock

    def now(self) -> float:
        """Virtual seconds."""
        return self._now

    def call_later(self, seconds: float, callback: Callable[[], object]) -> VirtualTimer:
        """Call ``callback`` once, when ``seconds`` have passed.

        Raises:
            StateError: the clock has been closed, so the time would never come.
        """
        timer = VirtualTimer(self, callback)
        with self._lock:
            if self._closed:
                raise StateError("the runtime has been shut down and sets no more timers")
            heapq.heappush(self._heap, (self._now + seconds, next(self._order), timer))
            self._pending += 1
        return timer

    def close(self) -> None:
        """Forget every timer."""
        with self._lock:
            self._closed = True
            for _, _, timer in self._heap:
                timer._callback = None
            self._heap.clear()
            self._pending = 0

    # For tests

    def pending(self) -> int:
        """How many timers are set."""
        return self._pending

    def next_due(self) -> float | None:
        """When the earliest timer is due; ``None`` if none is set."""
        with self._lock:
            while self._heap and not self._heap[0][2].is_set:
                heapq.heappop(self._heap)
            return self._heap[0][0] if self._heap else None

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, and every timer that is due by then happen at its time.

        Raises:
            ValueError: the time would go backwards.
        """
        if not seconds >= 0:
            raise ValueError(f"advance takes seconds of 0 or more, was given {seconds!r}")
        target = self._now + seconds
        while (due := self.next_due()) is not None and due <= target:
            self.move_to(due)
            self.take_due(one=True)[0].fire()
        self.move_to(target)

    def advance_to_next(self) -> bool:
        """Let the time of the earliest timer come, and all that are due then happen.

        ``False`` if no timer is set, and no time passes.
        """
        due = self.next_due()
        if due is not None:
            self.advance(max(0.0, due - self._now))
        return due is not None

    # For who lets timers happen in an order of its own

    def move_to(self, moment: float) -> None:
        """Let the time be ``moment``, or stay when it is later already; no timer happens."""
        with self._lock:
            self._now = max(self._now, moment)

    def take_due(self, *, one: bool = False) -> list[VirtualTimer]:
        """The timers, or the ``one``, whose time has come: whoever takes them calls ``fire``."""
        taken: list[VirtualTimer] = []
        with self._lock:
            while self._heap and self._heap[0][0] <= self._now and not (one and taken):
                timer = heapq.heappop(self._heap)[2]
                if timer.is_set:
                    taken.append(timer)
        return taken

    def _take(self, timer: VirtualTimer) -> Callable[[], object] | None:
        """What the timer was to call, for one caller only."""
        with self._lock:
            callback, timer._callback = timer._callback, None
            if callback is not None:
                self._pending -= 1
            return callback
