"""Calling functions: ``Call``, ``TryCall``, ``Retry``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from milo_effects.effects._checks import check_call, check_seconds

Backoff: TypeAlias = Literal["exponential", "linear", "fixed"]
BACKOFFS: tuple[Backoff, ...] = ("exponential", "linear", "fixed")


@dataclass(frozen=True, slots=True)
class Call:
    """Run ``fn(*args, **kwargs)`` on a worker. Sends back what it returns.

    An ``async def`` runs on the runtime's event loop and holds no worker.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_call(self, self.fn, self.args)


@dataclass(frozen=True, slots=True)
class TryCall:
    """As ``Call``. Sends back ``(result, None)``, or ``(None, error)`` when ``fn`` raises."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_call(self, self.fn, self.args)


@dataclass(frozen=True, slots=True)
class Retry:
    """As ``Call``, up to ``max_attempts`` times while ``fn`` raises an ``Exception``.

    Attempt k (from 0) is followed by a wait of ``base_delay * 2**k`` seconds (exponential),
    ``base_delay * (k + 1)`` (linear) or ``base_delay`` (fixed), at most ``max_delay``. The
    wait holds no worker. The last error is thrown into the saga.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = 3
    backoff: Backoff = "exponential"
    base_delay: float = 1.0
    max_delay: float = 30.0

    def __post_init__(self) -> None:
        check_call(self, self.fn, self.args)
        if self.max_attempts < 1:
            raise ValueError(
                f"Retry needs max_attempts of at least 1, was given {self.max_attempts}"
            )
        if self.backoff not in BACKOFFS:
            raise ValueError(
                f"Retry knows the backoffs {', '.join(BACKOFFS)}, was given {self.backoff!r}"
            )
        check_seconds(self, "base_delay", self.base_delay)
        check_seconds(self, "max_delay", self.max_delay)

    def delay(self, attempt: int) -> float:
        """The seconds to wait after the failed ``attempt``, counted from 0."""
        if self.backoff == "exponential":
            wanted = self.base_delay * 2.0 ** min(attempt, 1000)
        elif self.backoff == "linear":
            wanted = self.base_delay * (attempt + 1)
        else:
            wanted = self.base_delay
        return min(wanted, self.max_delay) if self.backoff != "fixed" else wanted
