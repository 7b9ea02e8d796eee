"""The bounded queue between the writers of a feed and its thread."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class _Mark(threading.Event):
    """Goes through the queue behind what somebody has put there, who waits for it to be set."""


class BatchQueue(Generic[T]):
    """Many threads put items in, one takes them out in batches and says when it is done.

    Everybody waits for something that somebody else signals. Items come out in the order in
    which they went in. ``put(item)`` adds one at once, from anywhere, also from a signal
    handler or a finalizer that interrupts another ``put``; afterwards it is time to look at
    ``is_overfull`` and to ``wait_for_room``.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._limit: float = capacity
        self._waiting: SimpleQueue[T | _Mark] = SimpleQueue()
        self.put: Callable[[T], None] = self._waiting.put
        # Re-entrant, because a signal handler or a finalizer may print in here.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._marks = 0  # in the queue, or about to be
        self._end: _Mark | None = None  # in the queue, or taken from it
        self._reached: list[_Mark] = []  # the taker's own

    def is_overfull(self) -> bool:
        """Do more items wait than there is room for?"""
        return self._waiting.qsize() > self._limit

    def wait_for_room(self) -> None:
        """Return once no more items wait than there is room for."""
        with self._lock:
            while self.is_overfull():
                self._room.wait()

    def take(self) -> list[T]:
        """What waits, ``capacity`` at most, as soon as anything does; empty once all has ended."""
        batch: list[T] = []
        while not batch and not self._has_ended():
            taken = [self._waiting.get()]
            more = min(self._waiting.qsize(), self._capacity - 1)
            taken += [self._waiting.get() for _ in range(more)]
            # Counted before it is put in, so a mark that has been taken is counted here.
            batch = self._without_marks(taken) if self._marks else cast(list[T], taken)
            if not batch:
                self.done()
        with self._lock:
            self._room.notify_all()
        return batch

    def done(self) -> None:
        """The taker has dealt with what it took."""
        reached, self._reached = self._reached, []
        for mark in reached:
            mark.set()

    def wait_done(self) -> None:
        """Return once everything that has been put in so far is done."""
        with self._lock:
            mark = self._end or self._put_mark()
        mark.wait()

    def end(self) -> None:
        """Let ``take`` answer with what is left, and then with nothing."""
        with self._lock:
            if self._end is None:
                self._end = self._put_mark()

    @contextmanager
    def unbounded(self) -> Iterator[None]:
        """In the block nobody waits for room."""
        self._set_limit(math.inf)
        try:
            yield
        finally:
            self._set_limit(self._capacity)

    def _set_limit(self, limit: float) -> None:
        with self._lock:
            self._limit = limit
            self._room.notify_all()

    def _put_mark(self) -> _Mark:
        mark = _Mark()
        self._marks += 1
        self._waiting.put(mark)
        return mark

    def _has_ended(self) -> bool:
        return self._end is not None and self._end.is_set()

    def _without_marks(self, taken: list[T | _Mark]) -> list[T]:
        marks = [item for item in taken if isinstance(item, _Mark)]
        self._reached += marks
        with self._lock:
            self._marks -= len(marks)
        return [item for item in taken if not isinstance(item, _Mark)]
