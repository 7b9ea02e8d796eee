"""When a failed step is tried again.

``max_attempts`` counts retries, so ``FixedRetry(3)`` is up to four executions (SEMANTICS).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from milo_durable.errors import SagaDefinitionError

LONGEST: Final = timedelta(days=36_500)
"""No span is longer: what lies that far ahead still has a date."""


class RetryPolicy(Protocol):
    """How long to wait before the next attempt; a policy of your own needs this one method."""

    def next_delay(self, attempt: int) -> timedelta | None:
        """The wait after failure number ``attempt``, from 1; ``None`` when it was the last."""


@dataclass(frozen=True, slots=True)
class NoRetry:
    """The first failure is the last."""

    @property
    def max_attempts(self) -> int:
        """No retry."""
        return 0

    def next_delay(self, attempt: int) -> timedelta | None:
        """``None``, always."""
        return None


@dataclass(frozen=True, slots=True)
class FixedRetry:
    """Up to ``max_attempts`` retries, each after ``delay``.

    >>> FixedRetry(3).next_delay(3), FixedRetry(3).next_delay(4)
    (datetime.timedelta(seconds=1), None)
    """

    max_attempts: int
    delay: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        _check(self, self.max_attempts, delay=self.delay)

    def next_delay(self, attempt: int) -> timedelta | None:
        """``delay``, up to failure number ``max_attempts``."""
        return self.delay if attempt <= self.max_attempts else None


@dataclass(frozen=True, slots=True)
class ExponentialRetry:
    """Up to ``max_attempts`` retries: after ``base_delay``, then twice that, up to ``max_delay``.

    >>> policy = ExponentialRetry(3, timedelta(seconds=5), max_delay=timedelta(seconds=12))
    >>> [policy.next_delay(n).seconds for n in (1, 2, 3)], policy.next_delay(4)
    ([5, 10, 12], None)
    """

    max_attempts: int
    base_delay: timedelta = timedelta(seconds=1)
    max_delay: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        _check(self, self.max_attempts, base_delay=self.base_delay, max_delay=self.max_delay)

    def next_delay(self, attempt: int) -> timedelta | None:
        """``base_delay`` doubled for each failure before this one, up to ``max_delay``."""
        if attempt > self.max_attempts:
            return None
        longest = max(self.base_delay, self.max_delay)
        delay = self.base_delay
        for _ in range(attempt - 1):
            if delay >= longest:
                break
            delay *= 2
        return min(delay, longest)


def _check(policy: object, max_attempts: object, **delays: object) -> None:
    name = type(policy).__name__
    if not isinstance(max_attempts, int) or isinstance(max_attempts, bool) or max_attempts < 0:
        raise SagaDefinitionError(
            f"{name}: max_attempts must be a whole number from 0, not {max_attempts!r}"
        )
    for field, delay in delays.items():
        if not isinstance(delay, timedelta) or not timedelta(0) <= delay <= LONGEST:
            raise SagaDefinitionError(
                f"{name}: {field} must be a timedelta from 0 to {LONGEST.days} days, not "
                f"{delay!r}; for instance timedelta(seconds=5)"
            )
