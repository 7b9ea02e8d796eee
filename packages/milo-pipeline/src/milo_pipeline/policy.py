"""What happens when a phase's handler raises."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from random import Random
from typing import Final, Literal, TypeAlias, get_args

from milo_pipeline._checks import is_seconds, refuse_unless, refuse_unless_count
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
    With ``jitter`` each wait is multiplied by a random factor from ``1 - jitter`` to
    ``1 + jitter``, so that phases that failed together do not come back together; what
    grows is still at most 30 seconds.

    Raises:
        DefinitionError: an unknown word, a negative or fractional number of retries, a
            delay that is no number of seconds, a jitter outside 0 to 1.

    >>> policy = PhasePolicy("retry", max_retries=3, retry_backoff="exponential")
    >>> [policy.delay_after(attempt) for attempt in (1, 2, 3)]
    [1.0, 2.0, 4.0]
    """

    on_fail: OnFail = "stop"
    max_retries: int = 0
    retry_delay: float = 1.0
    retry_backoff: Backoff = "fixed"
    _: KW_ONLY
    jitter: float = 0.0

    def __post_init__(self) -> None:
        _refuse_unless_one_of("on_fail", self.on_fail, get_args(OnFail))
        _refuse_unless_one_of("retry_backoff", self.retry_backoff, get_args(Backoff))
        refuse_unless_count("PhasePolicy", "max_retries", self.max_retries)
        refuse_unless(
            is_seconds(self.retry_delay),
            "PhasePolicy",
            f"retry_delay must be a number of seconds, at least 0, not {self.retry_delay!r}",
        )
        refuse_unless(
            is_seconds(self.jitter) and self.jitter <= 1,
            "PhasePolicy",
            f"jitter must be a fraction from 0 to 1, not {self.jitter!r}",
        )

    @property
    def attempts(self) -> int:
        """How often the handler is called before its error counts."""
        return 1 + (self.max_retries if self.on_fail == "retry" else 0)

    def delay_after(self, attempt: int) -> float:
        """Seconds to wait once ``attempt`` (from 1) has failed, without jitter."""
        if self.retry_backoff == "fixed" or self.retry_delay == 0:
            return self.retry_delay
        # 2.0 ** 1024 overflows; by then the limit has long been reached.
        doublings = min(attempt - 1, 1000)
        return min(self.retry_delay * 2.0**doublings, MAX_RETRY_DELAY)

    def wait_after(self, attempt: int, random: Random) -> float:
        """The same with jitter; ``random`` is asked only when there is some."""
        planned = self.delay_after(attempt)
        if not self.jitter:
            return planned
        wanted = planned * random.uniform(1 - self.jitter, 1 + self.jitter)
        return min(wanted, max(planned, MAX_RETRY_DELAY))


def _refuse_unless_one_of(field: str, given: object, known: tuple[str, ...]) -> None:
    if given not in known:
        words = ", ".join(map(repr, known))
        raise DefinitionError(f"PhasePolicy: {field} must be one of {words}, not {given!r}")
