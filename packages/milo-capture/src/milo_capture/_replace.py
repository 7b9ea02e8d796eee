"""Replacing an attribute while somebody needs it, and putting back what was there."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Replacement:
    """Stands in for ``beneath``."""

    def __init__(self, beneath: Any) -> None:
        self.beneath = beneath


class Slot:
    """``owner.name``, replaced by ``wrap(what is there)`` in every ``replaced`` block.

    The last block puts back exactly what was there. Others replace the same attributes
    (``contextlib.redirect_stdout``, test runners) and blocks overlap in any order, hence:

    * What is in place is looked up when a block begins, so that a block inside somebody's
      redirection works, and when it ends, so that nobody's redirection is undone.
    * A block holds every replacement that is in use, not only the one on top: the
      redirection that hid the others may end before the block does.
    * A replacement that somebody puts back after its last block does no harm, and the next
      block takes it over.
    """

    def __init__(self, owner: Any, name: str, wrap: Callable[[Any], Replacement]) -> None:
        self._owner = owner
        self._name = name
        self._wrap = wrap
        self._holders: dict[Replacement, int] = {}

    def hold(self) -> tuple[Replacement, ...]:
        """Make sure that a replacement is in place; what comes back is to be let go once."""
        current = getattr(self._owner, self._name)
        top = current if isinstance(current, Replacement) else self._wrap(current)
        self._holders.setdefault(top, 0)
        held = tuple(self._holders)
        for replacement in held:
            self._holders[replacement] += 1
        setattr(self._owner, self._name, top)
        return held

    def let_go(self, held: tuple[Replacement, ...]) -> None:
        """Put back what was there if that was the last one who held the replacement in place."""
        for replacement in held:
            self._holders[replacement] -= 1
            if not self._holders[replacement]:
                del self._holders[replacement]
        current = getattr(self._owner, self._name)
        if isinstance(current, Replacement) and current not in self._holders:
            setattr(self._owner, self._name, current.beneath)


# Guards all slots. Re-entrant, because a signal handler may capture while its thread is here.
_lock = threading.RLock()


@contextmanager
def replaced(slots: Sequence[Slot]) -> Iterator[None]:
    """Each slot holds a ``Replacement`` in the block, unless somebody replaces it there."""
    with _lock:
        held = [slot.hold() for slot in slots]
    try:
        yield
    finally:
        with _lock:
            for slot, replacements in zip(slots, held, strict=True):
                slot.let_go(replacements)


def _unlock_in_forked_child() -> None:
    # The thread that held the lock at the fork does not exist in the child.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_unlock_in_forked_child)
