"""Sagas started no more often than is good: ``Throttle``, ``Debounce``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from milo_effects.effects._checks import check_factory, check_pattern, check_seconds
from milo_effects.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Throttle:
    """As ``TakeEvery``, but start ``saga(action)`` at most every ``seconds``.

    It is started at once for an action that comes after a pause. Of those that come in the
    ``seconds`` afterwards only the newest is kept, and the saga is started with it when they
    are over, which begins the next ``seconds``. Never sends anything back.
    """

    seconds: float
    action_type: Pattern
    saga: Callable[..., Any]

    def __post_init__(self) -> None:
        check_seconds(self, "seconds", self.seconds)
        check_pattern(self, self.action_type)
        check_factory(self, self.saga)


@dataclass(frozen=True, slots=True)
class Debounce:
    """Start ``saga`` in ``seconds``, unless this saga debounces it again or ends by then.

    Sends back ``None`` at once. The saga it starts is attached.
    """

    seconds: float
    saga: Callable[[], Any]

    def __post_init__(self) -> None:
        check_seconds(self, "seconds", self.seconds)
        check_factory(self, self.saga)
