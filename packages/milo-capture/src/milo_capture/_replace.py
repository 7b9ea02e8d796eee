"""Replacing an attribute while somebody needs it, and putting back what was there."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any, Generic, TypeVar, cast

_ABSENT: Any = object()


class Replacement:
    """Stands in for ``beneath``."""

    def __init__(self, beneath: Any) -> None:
        self.beneath = beneath


R = TypeVar("R", bound=Replacement)


class MethodReplacement(Replacement):
    """Stands in for a method: it is called with the object in front."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)


class Slot(Generic[R]):
    """``owner.name``, replaced by ``wrap(what is there)`` in every ``replaced`` block.

    The last block puts back exactly what was there, or nothing if nothing was. Others
    replace the same attributes (``contextlib.redirect_stdout``, test runners) and blocks
    overlap in any order, hence:

    * What is in place is looked up when a block begins, so that a block inside somebody's
      redirection works, and when it ends, so that nobody's redirection is undone.
    * A block holds every replacement that is in use, not only the one on top: the
      redirection that hid the others may end before the block does.
    * A replacement that somebody puts back after its last block does no harm, and the next
      block takes it over.
    """

    def __init__(self, owner: Any, name: str, wrap: Callable[[Any], R]) -> None:
        self._owner = owner
        self._name = name
        self._wrap = wrap
        self._holders: dict[R, int] = {}
        # Used again, and above all kept alive: up to Python 3.13 ``print`` holds no reference
        # to ``sys.stdout`` and crashes if another thread puts back what was there meanwhile.
        self._recent: deque[R] = deque(maxlen=4)
        # A tuple of its own for those who read it without the lock.
        self.in_use: tuple[R, ...] = ()

    def hold(self) -> tuple[R, ...]:
        """Make sure that a replacement is in place; what comes back is to be let go once."""
        current = getattr(self._owner, self._name, _ABSENT)
        top = cast(R, current) if isinstance(current, Replacement) else self._over(current)
        self._holders.setdefault(top, 0)
        held = self.in_use = tuple(self._holders)
        for replacement in held:
            self._holders[replacement] += 1
        if top is not current:
            setattr(self._owner, self._name, top)
        return held

    def _over(self, current: Any) -> R:
        for replacement in self._recent:
            if replacement.beneath is current:
                return replacement
        made = self._wrap(current)
        self._recent.append(made)
        return made

    def let_go(self, held: tuple[R, ...]) -> None:
        """Put back what was there if that was the last one who held the replacement in place."""
        for replacement in held:
            self._holders[replacement] -= 1
            if not self._holders[replacement]:
                del self._holders[replacement]
        self.in_use = tuple(self._holders)
        current = getattr(self._owner, self._name, _ABSENT)
        if not isinstance(current, Replacement) or current in self._holders:
            return
        if current.beneath is _ABSENT:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, current.beneath)


# Guards all slots. Re-entrant, because a signal handler may capture while its thread is here.
_lock = threading.RLock()


@contextmanager
def replaced(slots: Sequence[Slot[Any]]) -> Iterator[None]:
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
