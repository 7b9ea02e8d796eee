"""Sagas started by actions or after a pause: ``TakeEvery``, ``TakeLatest``, ``Debounce``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from milo_effects.effects._checks import check_action_type, check_factory, check_seconds


@dataclass(frozen=True, slots=True)
class TakeEvery:
    """Start ``saga(action)`` for every action of a type, in order. Never sends anything back.

    The sagas are attached: they are cancelled with this one.
    """

    action_type: str
    saga: Callable[..., Any]

    def __post_init__(self) -> None:
        check_action_type(self, self.action_type)
        check_factory(self, self.saga)


@dataclass(frozen=True, slots=True)
class TakeLatest:
    """As ``TakeEvery``, and the saga started before is cancelled first."""

    action_type: str
    saga: Callable[..., Any]

    def __post_init__(self) -> None:
        check_action_type(self, self.action_type)
        check_factory(self, self.saga)


@dataclass(frozen=True, slots=True)
class Debounce:
    """Start ``saga`` in ``seconds``, unless this saga debounces it again or ends by then.

    Sends back ``None`` at once. The saga it starts is attached.
    """

    seconds: float
    saga: Callable[[], Any]

    def __post_init__(self) -> None:
        check_seconds(self, "seconds", self.seconds)
        check_factory(self, self.saga)
