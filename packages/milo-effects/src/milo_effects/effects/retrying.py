"""Calling a function until it succeeds: ``Retry``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from milo_effects.effects._backoff import Backoff, check_waits, planned_wait
from milo_effects.effects._checks import check_call


@dataclass(frozen=True, slots=True)
class Retry:
    """As ``Call``, up to ``max_attempts`` times while ``fn`` raises an ``Exception``.

    Attempt k (from 0) is followed by a wait of ``base_delay * 2**k`` seconds (exponential),
    ``base_delay * (k + 1)`` (linear), both at most ``max_delay``, or ``base_delay`` (fixed).
    The wait holds no worker. The last error is thrown into the saga.

    With ``jitter``, each wait is multiplied by a random factor from ``1 - jitter`` to
    ``1 + jitter``, so that those who failed together do not come back together; still at
    most ``max_delay``.

    ``should_retry(error)`` is asked on a worker before each wait. If its answer is false,
    the error is thrown at once; if it raises, that error is, with the first as its context.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int = 3
    backoff: Backoff = "exponential"
    base_delay: float = 1.0
    max_delay: float = 30.0
    jitter: float = field(default=0.0, kw_only=True)
    should_retry: Callable[[Exception], object] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_call(self, self.fn, self.args)
        if self.max_attempts < 1:
            raise ValueError(
                f"Retry needs max_attempts of at least 1, was given {self.max_attempts}"
            )
        check_waits(self)
        if self.should_retry is not None and not callable(self.should_retry):
            raise TypeError(
                "Retry(should_retry=...) takes a function of the error, was given "
                f"{self.should_retry!r:.200}"
            )

    def delay(self, attempt: int) -> float:
        """The seconds to wait after the failed ``attempt``, counted from 0, without jitter."""
        return planned_wait(self, attempt)
