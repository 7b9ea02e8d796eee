"""Who waits for which action, and what was dispatched since a ``Put``.

Everything here happens under the store's lock, which the store holds while it tells
``on_action`` of an action, so waiting and dispatching cannot miss each other.

The journal is a linked list of which only the end is held: each action is a node
``[action, next]``. A saga that has just ``Put`` holds the node of its own action, so the
nodes behind it live exactly as long as that saga may still ask for them, and a ``Take``
directly after a ``Put`` finds what was answered meanwhile (DESIGN §4, no lost reply).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from milo_core import Action

Node: TypeAlias = list[Any]
Stop: TypeAlias = Callable[[], None]


class Marked(Protocol):
    """Whoever dispatched with a mark is told where in the journal its action stands."""

    mark: object


class Taker(Protocol):
    """Something that waits for actions of one type."""

    once: bool
    """Whether the first action ends the wait."""

    def take(self, action: Action) -> Callable[[], None] | None:
        """Be given an action, under the store's lock; what is returned runs after it."""


class Takers:
    """The waiting takers, by action type, each type's in the order they came."""

    def __init__(self, store_lock: threading.RLock) -> None:
        self.lock = store_lock
        self._by_type: dict[str, dict[Taker, None]] = {}
        self._last: Node = [None, None]

    def on_action(self, action: Action, mark: object) -> Callable[[], None] | None:
        """Give ``action`` to whoever waits for it; the store's lock is held."""
        node: Node = [action, None]
        self._last[1] = node
        self._last = node
        if mark is not None:
            mark.mark = node  # type: ignore[attr-defined]  # a Marked, opaque to the store
        waiting = self._by_type.get(action.type)
        return None if waiting is None else self._give(action, waiting)

    def _give(self, action: Action, waiting: dict[Taker, None]) -> Callable[[], None] | None:
        wake: Callable[[], None] | None = None
        for taker in list(waiting):
            if taker.once:
                del waiting[taker]
            wake = taker.take(action) or wake
        if not waiting:
            del self._by_type[action.type]
        return wake

    def now(self) -> Node:
        """The journal's present end: what comes behind it is yet to be dispatched."""
        return self._last

    def find(self, action_type: str, since: Node) -> tuple[Action | None, Node]:
        """The first action of that type behind ``since``, and the last node looked at.

        Takes no lock: nodes are only ever added.
        """
        node = since
        while (following := node[1]) is not None:
            node = following
            if node[0].type == action_type:
                return node[0], node
        return None, node

    def add(self, action_type: str, taker: Taker, since: Node | None = None) -> Action | None:
        """Have ``taker`` wait, unless such an action stands behind ``since``: return it then."""
        with self.lock:
            if since is not None:
                action, _ = self.find(action_type, since)
                if action is not None:
                    return action
            self._by_type.setdefault(action_type, {})[taker] = None
            return None

    def remove(self, action_type: str, taker: Taker) -> None:
        """Have ``taker`` wait no longer. Harmless when it does not."""
        with self.lock:
            waiting = self._by_type.get(action_type)
            if waiting is not None:
                waiting.pop(taker, None)
                if not waiting:
                    del self._by_type[action_type]

    def waiting(self) -> int:
        """How many takers wait."""
        with self.lock:
            return sum(len(takers) for takers in self._by_type.values())
