"""Who waits for which action, and what was dispatched since a ``Put``.

Everything here happens under the store's lock, which the store holds while it tells
``on_action`` of an action, so waiting and dispatching cannot miss each other.

A saga that has just ``Put`` has an open mark in the store's journal, and a ``Take`` directly
after that finds what was answered meanwhile (DESIGN §4, no lost reply).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from milo_core import Action
from milo_core._locking import first_try, wait_for
from milo_core._sharing import share
from milo_core.journal import Mark, Node
from milo_core.runtime import RuntimeHost
from milo_effects.patterns import EVERY, Pattern, fits, simplest

Woken: TypeAlias = Callable[[], None] | None
"""What is to be called once the store's lock is released, if anything."""


def both(one: Woken, other: Woken) -> Woken:
    """What calls both; two are rare, for they belong to the schedulers of different stores."""
    if one is None or other is None:
        return one or other

    def wake() -> None:
        one()
        other()

    return wake


class Taker(Protocol):
    """Something that waits for actions."""

    once: bool
    """Whether the first action ends the wait."""

    def take(self, action: Action) -> Woken:
        """Be given an action, under the store's lock; what is returned runs after it."""

    def fail(self, error: BaseException) -> Woken:
        """Be told that the predicate raised, which ends the wait; as ``take``."""


class _Everything:
    """Stands for all types of action."""

    def __contains__(self, action_type: str, /) -> bool:
        return True


_EVERYTHING = _Everything()


class Takers:
    """The waiting takers, those of a type in the order they came, then those of no one type."""

    def __init__(self, host: RuntimeHost) -> None:
        self.lock = host.lock
        self._take_lock = first_try(host.lock)
        self._journal = host.journal
        self._listen_for = host.listen_for
        self._by_type: dict[str, dict[Taker, None]] = {}
        self._others: dict[Taker, Callable[[Action], Any] | None] = {}
        """Takers with a predicate, or of every action."""
        share(self, self._by_type, self._take_lock)
        host.listen_for(self._by_type)

    def on_action(self, action: Action) -> Woken:
        """Give ``action`` to whoever waits for it; the store's lock is held."""
        wake: Woken = None
        waiting = self._by_type.get(action.type)
        if waiting is not None:
            for taker in list(waiting):
                if taker.once:
                    del waiting[taker]
                woken = taker.take(action)
                if woken is not None:
                    wake = both(wake, woken)
            if not waiting:
                self._by_type.pop(action.type, None)  # a taker that left has done it already
        if self._others:
            wake = both(wake, self._give_to_others(action))
        return wake

    def _give_to_others(self, action: Action) -> Woken:
        wake: Woken = None
        for taker, predicate in list(self._others.items()):
            try:
                fitting = predicate is None or bool(predicate(action))
            except BaseException as error:  # foreign code; goes to the saga that waits with it
                self._drop_other(taker)
                wake = both(wake, taker.fail(error))
            else:
                if fitting and taker.once:
                    self._drop_other(taker)
                if fitting:
                    wake = both(wake, taker.take(action))
        return wake

    def new_mark(self, since: Node | None) -> Mark:
        """A mark that stands where an open one does, or else is open from now on."""
        mark = Mark()
        with self.lock:
            self._journal.open(mark, since)
        return mark

    def find(self, pattern: Pattern, since: Node) -> tuple[Action | None, Node]:
        """The first action behind ``since`` that fits, and the last node looked at.

        Takes no lock: nodes are only ever added.
        """
        node = since
        while (following := node[1]) is not None:
            action, node = node[0], following
            if action.type == pattern or fits(pattern, action):
                return action, node
        return None, node

    def add(self, pattern: Pattern, taker: Taker, since: Node | None = None) -> Action | None:
        """Have ``taker`` wait, unless an action behind ``since`` fits: return it then.

        A taker that waits ``once`` for several types removes itself when it is given one.
        """
        lock = self.lock
        if not self._take_lock():
            wait_for(lock)
        try:
            if since is not None and since[1] is not None:
                action, _ = self.find(pattern, since)
                if action is not None:
                    return action
            if type(pattern) is str and pattern != EVERY:
                waiting = self._by_type.get(pattern)
                if waiting is None:
                    self._by_type[pattern] = {taker: None}
                else:
                    waiting[taker] = None
            else:
                self._keep(simplest(pattern), taker)
            return None
        finally:
            lock.release()

    def _keep(self, pattern: Pattern, taker: Taker) -> None:
        """As ``add``, which does itself what is done most: a single type."""
        if isinstance(pattern, tuple):
            for each in pattern:
                self._by_type.setdefault(each, {})[taker] = None
        elif isinstance(pattern, str) and pattern != EVERY:
            self._by_type.setdefault(pattern, {})[taker] = None
        else:
            self._others[taker] = pattern if callable(pattern) else None
            if len(self._others) == 1:
                self._listen_for(_EVERYTHING)

    def remove(self, pattern: Pattern, taker: Taker) -> None:
        """Have ``taker`` wait no longer. Harmless when it does not."""
        lock = self.lock
        if not self._take_lock():
            wait_for(lock)
        try:
            self._drop(simplest(pattern), taker)
        finally:
            lock.release()

    def _drop(self, pattern: Pattern, taker: Taker) -> None:
        if isinstance(pattern, tuple):
            for each in pattern:
                self._drop(each, taker)
        elif isinstance(pattern, str) and pattern != EVERY:
            waiting = self._by_type.get(pattern)
            if waiting is not None:
                waiting.pop(taker, None)
                if not waiting:
                    del self._by_type[pattern]
        else:
            self._drop_other(taker)

    def _drop_other(self, taker: Taker) -> None:
        if self._others.pop(taker, self) is not self and not self._others:
            self._listen_for(self._by_type)

    def waiting(self) -> int:
        """How many takers wait."""
        with self.lock:
            return len(set().union(self._others, *self._by_type.values()))
