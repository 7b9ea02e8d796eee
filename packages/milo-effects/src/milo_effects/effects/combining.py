"""Waiting for other sagas or effects: ``Timeout``, ``Race``, ``All``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from milo_effects.effects._checks import check_count, check_seconds


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

    Of a tuple it is the bare result, of a mapping a dict with the winner's key alone:
    ``Race({"done": Take("DONE"), "late": Delay(5)})`` sends back ``{"late": None}`` after
    five seconds. If the first to end fails, its error is thrown. The others are cancelled
    and have ended when this saga goes on.
    """

    sagas: tuple[Any, ...] | Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class All:
    """Run several sagas or effects at the same time. Sends back their results, in order.

    Of a tuple it is a tuple, of a mapping a dict with the same keys. The first error is
    thrown, once the others have been cancelled and have ended.

    With ``limit``, at most that many run at once; they are started in order, each when one
    before it has ended. Those that have not started when the first error comes never do.
    """

    sagas: tuple[Any, ...] | Mapping[Any, Any]
    limit: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.limit is not None:
            check_count(self, "limit", self.limit, least=1)
