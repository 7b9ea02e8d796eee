"""What happens when a phase's handler raises."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from milo_pipeline._checks import refuse_unless, refuse_unless_count
from milo_pipeline.errors import DefinitionError

OnFail: TypeAlias = Literal["stop", "skip", "retry"]
Backoff: TypeAlias = Literal["fixed", "exponential"]

MAX_RETRY_DELAY: Final = 30.0
"""Exponential backoff grows to this many seconds and no further."""


@dataclass(frozen=True, slots=True)
class PhasePolicy:
    """Failure policy for a pipeline phase.

    ``on_fail="stop"`` fails the pipeline, ``"skip"`` goes on without the phase,
    ``"retry"`` runs the handler up to ``max_retries`` more times and fails the
    pipeline with the last error. ``max_retries`` has no effect without ``"retry"``.

    Raises:
        DefinitionError: an unknown word, a negative or fractional number of retries, a
            delay that is no number of seconds.

    >>> policy = PhasePolicy("retry", max_retries=3, retry_backoff="exponential")
    >>> [policy.delay_after(attempt) for attempt in (1, 2, 3)]
    [1.0, 2.0, 4.0]
    """

    on_fail: OnFail = "stop"
    max_retries: int = 0
    retry_delay: float = 1.0
    retry_backoff: Backoff = "fixed"

    def __post_init__(self) -> None:
        _refuse_unless_one_of("on_fail", self.on_fail, get_args(OnFail))
        _refuse_unless_one_of("retry_backoff", self.retry_backoff, get_args(Backoff))
        refuse_unless_count("PhasePolicy", "max_retries", self.max_retries)
        refuse_unless(
            _is_seconds(self.retry_delay),
            "PhasePolicy",
            f"retry_delay must be a number of seconds, at least 0, not {self.retry_delay!r}",
        )

    @property
    def attempts(self) -> int:
        """How often the handler is called before its error counts."""
        return 1 + (self.max_retries if self.on_fail == "retry" else 0)

    def delay_after(self, attempt: int) -> float:
        """Seconds to wait once ``attempt`` (from 1) has failed."""
        if self.retry_backoff == "fixed" or self.retry_delay == 0:
            return self.retry_delay
        # 2.0 ** 1024 overflows; by then the limit has long been reached.
        doublings = min(attempt - 1, 1000)
        return min(self.retry_delay * 2.0**doublings, MAX_RETRY_DELAY)


def _refuse_unless_one_of(field: str, given: object, known: tuple[str, ...]) -> None:
    if given not in known:
        words = ", ".join(map(repr, known))
        raise DefinitionError(f"PhasePolicy: {field} must be one of {words}, not {given!r}")


def _is_seconds(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0
