"""What ``Take`` and its like wait for.

A pattern is an action's type, a tuple of types, ``"*"`` for every action, or a predicate:
a function of the action. Predicates run under the store's lock, on the thread that
dispatches, so they must be quick and must not dispatch. One that raises fails the saga that
waits with it, and no one else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from milo_core import Action

Pattern: TypeAlias = str | tuple[str, ...] | Callable[[Action], Any]

EVERY: Final = "*"
"""The pattern that every action fits."""


def is_pattern(given: object) -> bool:
    """Whether ``given`` can be waited for."""
    if isinstance(given, tuple):
        return bool(given) and all(isinstance(each, str) for each in given)
    return isinstance(given, str) or callable(given)


def simplest(pattern: Pattern) -> Pattern:
    """``pattern`` without what is said twice, so that each action fits in one way only."""
    if isinstance(pattern, tuple):
        kinds = tuple(dict.fromkeys(pattern))
        return EVERY if EVERY in kinds else kinds[0] if len(kinds) == 1 else kinds
    return pattern


def fits(pattern: Pattern, action: Action) -> bool:
    """Whether ``action`` is what ``pattern`` waits for. Raises what a predicate raises."""
    if isinstance(pattern, str):
        return action.type == pattern or pattern == EVERY
    if isinstance(pattern, tuple):
        return action.type in pattern or EVERY in pattern
    return bool(pattern(action))
