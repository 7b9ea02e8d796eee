"""Keeping a saga running: ``Supervise``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import KW_ONLY, dataclass
from typing import Any

from milo_effects.effects._backoff import Backoff, check_waits
from milo_effects.effects._checks import check_count, check_seconds


@dataclass(frozen=True, slots=True)
class Supervise:
    """Run ``saga``, and run it anew when it fails. Sends back what it returns in the end.

    ``saga`` is a function that returns a saga, or an effect. After an ``Exception`` it is
    restarted, at most ``max_restarts`` times (``None``: for ever); each restart is logged
    as a warning with its error, and waits as ``Retry`` does with the same ``backoff``,
    ``base_delay``, ``max_delay`` and ``jitter``. The error after the last restart is
    thrown, with a note that says how many there were. A run that somebody else cancelled
    has failed with ``ChildCancelledError``; cancelling this saga reaches the run and is the
    end of it. Sagas attached to a run are cancelled when it fails.

    ``should_restart(error)`` is asked on a worker before each restart. If its answer is
    false, the error is thrown at once; if it raises, that error is, with the first as its
    context.

    With ``reset_after``, a run that lasted that many seconds before it failed counts as
    recovered: restarts and waits are counted from 0 again.
    """

    saga: Any
    _: KW_ONLY
    max_restarts: int | None = None
    backoff: Backoff = "exponential"
    base_delay: float = 1.0
    max_delay: float = 30.0
    jitter: float = 0.0
    should_restart: Callable[[Exception], object] | None = None
    reset_after: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.saga, Generator):
            raise TypeError(
                "Supervise takes a function that returns a saga, was given "
                f"{self.saga!r:.200}; a generator can run only once"
            )
        if self.max_restarts is not None:
            check_count(self, "max_restarts", self.max_restarts, least=0)
        check_waits(self)
        if self.should_restart is not None and not callable(self.should_restart):
            raise TypeError(
                "Supervise(should_restart=...) takes a function of the error, was given "
                f"{self.should_restart!r:.200}"
            )
        if self.reset_after is not None:
            check_seconds(self, "reset_after", self.reset_after)
