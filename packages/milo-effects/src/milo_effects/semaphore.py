"""``Semaphore``: a number of places, and the queue for them.

A place is handed from who leaves straight to who has waited longest, so it is never free
for a moment in which somebody else could overtake. Who is in the queue either gets a place
or gives up waiting; the lock decides which, and it cannot be both.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from milo_effects.effects._checks import check_count

Begin: TypeAlias = Callable[[], object]


class Semaphore:
    """``places`` places, first come first served, for ``Limit`` to run things in.

    It belongs to no store: whichever sagas are to share the places share the object, from
    any thread.

    >>> connections = Semaphore(4)
    >>> connections.free, connections.waiting
    (4, 0)
    """

    __slots__ = ("_free", "_lock", "_places", "_queue")

    def __init__(self, places: int) -> None:
        check_count(self, "places", places, least=1)
        self._places = places
        self._free = places
        self._queue: OrderedDict[Begin, None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def places(self) -> int:
        """How many places there are."""
        return self._places

    @property
    def free(self) -> int:
        """How many of them nobody is in."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._queue)

    def __repr__(self) -> str:
        return f"<Semaphore {self._free} of {self._places} free, {len(self._queue)} waiting>"

    # For handlers

    def enter_at_once(self) -> bool:
        """Take a place if one is free; then ``leave`` must be called once."""
        with self._lock:
            if not self._free:
                return False
            self._free -= 1
            return True

    def enter_in_turn(self, begin: Begin) -> None:
        """Call ``begin()`` in a place, perhaps at once; then ``leave`` must be called once.

        It is called on the thread that leaves the place, so it must be quick.
        """
        with self._lock:
            if not self._free:
                self._queue[begin] = None
                return
            self._free -= 1
        begin()

    def give_up(self, begin: Begin) -> bool:
        """Leave the queue; ``False`` if ``begin`` has its place, and has been or will be called."""
        with self._lock:
            if begin not in self._queue:
                return False
            del self._queue[begin]
            return True

    def leave(self) -> None:
        """Give a place back: to who has waited longest, if anybody waits."""
        with self._lock:
            if not self._queue:
                self._free += 1
                return
            begin, _ = self._queue.popitem(last=False)
        begin()
