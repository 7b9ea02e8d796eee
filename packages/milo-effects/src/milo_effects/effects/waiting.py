"""Waiting for a time or an action: ``Delay``, ``Take``."""

from __future__ import annotations

from dataclasses import dataclass

from milo_effects.effects._checks import check_action_type, check_seconds


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait ``seconds``, holding no worker. Sends back ``None``."""

    seconds: float

    def __post_init__(self) -> None:
        check_seconds(self, "seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Take:
    """Wait for the next action of a type. Sends back the action.

    With ``timeout`` seconds, ``TimeoutError`` is thrown when none came by then.
    """

    action_type: str
    timeout: float | None = None

    def __post_init__(self) -> None:
        check_action_type(self, self.action_type)
        if self.timeout is not None:
            check_seconds(self, "timeout", self.timeout)
