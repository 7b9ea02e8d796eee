"""How long to wait before the next attempt: what ``Retry`` and ``Supervise`` agree on."""

from __future__ import annotations

from random import Random
from typing import Literal, Protocol, TypeAlias

from milo_effects.effects._checks import check_fraction, check_seconds

Backoff: TypeAlias = Literal["exponential", "linear", "fixed"]
BACKOFFS: tuple[Backoff, ...] = ("exponential", "linear", "fixed")


class Waits(Protocol):
    """An effect that waits longer after each failure."""

    @property
    def backoff(self) -> Backoff:
        """How the waits grow."""

    @property
    def base_delay(self) -> float:
        """The seconds that the first wait takes."""

    @property
    def max_delay(self) -> float:
        """The seconds at which growing waits, and what chance adds to them, end."""

    @property
    def jitter(self) -> float:
        """By how much of itself each wait may be longer or shorter, from 0 to 1."""


def check_waits(effect: Waits) -> None:
    """Refuse impossible waits where they are written."""
    name = type(effect).__name__
    if effect.backoff not in BACKOFFS:
        raise ValueError(
            f"{name} knows the backoffs {', '.join(BACKOFFS)}, was given {effect.backoff!r}"
        )
    check_seconds(effect, "base_delay", effect.base_delay)
    check_seconds(effect, "max_delay", effect.max_delay)
    check_fraction(effect, "jitter", effect.jitter)


def planned_wait(effect: Waits, failures: int) -> float:
    """The seconds to wait after one more failure than ``failures``, before chance has its say."""
    if effect.backoff == "exponential":
        return min(effect.base_delay * 2.0 ** min(failures, 1000), effect.max_delay)
    if effect.backoff == "linear":
        return min(effect.base_delay * (failures + 1), effect.max_delay)
    return effect.base_delay


def jittered_wait(effect: Waits, failures: int, random: Random) -> float:
    """The seconds to wait, chance included; ``random`` is asked only when there is jitter.

    Jitter never lengthens a wait beyond ``max_delay``, or beyond the planned wait where a
    fixed one is longer than that.
    """
    planned = planned_wait(effect, failures)
    if not effect.jitter:
        return planned
    wanted = planned * random.uniform(1 - effect.jitter, 1 + effect.jitter)
    return min(wanted, max(planned, effect.max_delay))
