"""Waiting for other sagas or effects: ``Timeout``, ``Race``, ``All``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from milo_effects.effects._checks import check_seconds


@dataclass(frozen=True, slots=True)
class Timeout:
    """Carry out ``effect`` (or a saga), or throw ``TimeoutError`` after ``seconds``.

    Sends back what the effect would. What runs out of time is cancelled. A call that cannot
    be interrupted runs on, in a worker set aside for it, and its result is dropped.
    """

    effect: Any
    seconds: float

    def __post_init__(self) -> None:
        check_seconds(self, "seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Race:
    """Run several sagas or effects at the same time. Sends back the first one's result.

    If the first to end fails, its error is thrown. The others are cancelled and have ended
    when this saga goes on.
    """

    sagas: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Run several sagas or effects at the same time. Sends back their results, in order.

    The first error is thrown, once the others have been cancelled and have ended.
    """

    sagas: tuple[Any, ...]
