"""Waiting for a time or an action: ``Delay``, ``Take``."""

from __future__ import annotations

from dataclasses import dataclass

from milo_effects.channels import Channel
from milo_effects.effects._checks import check_pattern, check_seconds
from milo_effects.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait ``seconds``, holding no worker. Sends back ``None``."""

    seconds: float

    def __post_init__(self) -> None:
        check_seconds(self, "seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Take:
    """Wait for the next action that fits a pattern, or message of a channel. Sends back that.

    ``action_type`` is an action's type, a tuple of types, a predicate (see ``patterns``),
    ``"*"`` for every action, or a ``Channel``. With ``timeout`` seconds, ``TimeoutError`` is
    thrown when none came by then.
    """

    action_type: Pattern | Channel
    timeout: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.action_type, str | Channel):
            check_pattern(self, self.action_type)
        if self.timeout is not None:
            check_seconds(self, "timeout", self.timeout)
