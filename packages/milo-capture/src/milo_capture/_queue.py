"""The bounded queue between the writers of a feed and its thread."""

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class BatchQueue(Generic[T]):
    """Many threads put items in, one takes them out in batches and says when it is done.

    Everybody waits on a condition that somebody else signals. Items come out in the order
    in which they went in and are numbered from 1 in that order.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._limit: float = capacity
        self._waiting: deque[T] = deque()
        self._put_count = 0
        self._done_count = 0
        self._taker_sleeps = False
        self._ended = False
        # Re-entrant, because a signal handler or a finalizer may print in here.
        lock = threading.RLock()
        self._lock = lock
        self._arrived = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._done = threading.Condition(lock)

    def put(self, item: T) -> int:
        """Add ``item`` at once and answer its number; then it is time to ``wait_for_room``."""
        with self._lock:
            self._waiting.append(item)
            self._put_count += 1
            if self._taker_sleeps:
                self._taker_sleeps = False
                self._arrived.notify()
            return self._put_count

    @property
    def is_overfull(self) -> bool:
        """Do more items wait than there is room for?"""
        return len(self._waiting) > self._limit

    def wait_for_room(self) -> None:
        """Return once no more items wait than there is room for."""
        with self._lock:
            while self.is_overfull:
                self._room.wait()

    def take(self) -> list[T]:
        """What waits, ``capacity`` at most, as soon as anything does; empty once all has ended."""
        with self._lock:
            while not self._waiting and not self._ended:
                self._taker_sleeps = True
                self._arrived.wait()
            count = min(len(self._waiting), self._capacity)
            batch = [self._waiting.popleft() for _ in range(count)]
            self._room.notify_all()
            return batch

    def done(self, count: int) -> None:
        """The taker has dealt with the next ``count`` items."""
        with self._lock:
            self._done_count += count
            self._done.notify_all()

    def wait_done(self, number: int) -> None:
        """Return once the item with this number, and so every earlier one, is done."""
        with self._lock:
            while self._done_count < number:
                self._done.wait()

    def end(self) -> None:
        """Let ``take`` answer with what is left, and then with nothing."""
        with self._lock:
            self._ended = True
            self._arrived.notify()

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
