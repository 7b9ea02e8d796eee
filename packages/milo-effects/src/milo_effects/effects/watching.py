"""Sagas started by actions: ``TakeEvery``, ``TakeLatest``, ``TakeLeading``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from milo_core import Action
from milo_effects.effects._checks import check_factory, check_key, check_pattern
from milo_effects.patterns import Pattern


@dataclass(frozen=True, slots=True)
class TakeEvery:
    """Start ``saga(action)`` for every action that fits, in order. Never sends anything back.

    The sagas are attached: they are cancelled with this one. A ``saga`` without parameters
    is called without the action. Should the predicate raise, its error is thrown.
    """

    action_type: Pattern
    saga: Callable[..., Any]

    def __post_init__(self) -> None:
        check_pattern(self, self.action_type)
        check_factory(self, self.saga)


@dataclass(frozen=True, slots=True)
class TakeLatest:
    """As ``TakeEvery``, and the saga started before is cancelled first, if it still runs.

    With ``key``, a function of the action, that holds for the actions of each key: a new
    search of one user cancels only that user's search before. ``key`` is called as
    predicates are: under the store's lock, on the thread that dispatches, so it must be
    quick. An error of it, or a result that cannot be hashed, is thrown into this saga.
    """

    action_type: Pattern
    saga: Callable[..., Any]
    _: KW_ONLY
    key: Callable[[Action], Any] | None = None

    def __post_init__(self) -> None:
        check_pattern(self, self.action_type)
        check_factory(self, self.saga)
        check_key(self, self.key)


@dataclass(frozen=True, slots=True)
class TakeLeading:
    """As ``TakeEvery``, but actions are ignored while the saga started before still runs.

    It runs until its cleanup is over, too. ``key`` is as for ``TakeLatest``: an action is
    ignored while a saga of the same key runs.
    """

    action_type: Pattern
    saga: Callable[..., Any]
    _: KW_ONLY
    key: Callable[[Action], Any] | None = None

    def __post_init__(self) -> None:
        check_pattern(self, self.action_type)
        check_factory(self, self.saga)
        check_key(self, self.key)
