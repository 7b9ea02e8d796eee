"""What sagas do with the store: ``Put``, ``Select``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from milo_core import Action


@dataclass(frozen=True, slots=True)
class Put:
    """Dispatch ``action``. Sends back ``None`` once the state has changed.

    A ``Take`` yielded directly afterwards sees every action dispatched after this one.
    """

    action: Action

    def __post_init__(self) -> None:
        if not isinstance(self.action, Action):
            raise TypeError(
                f"Put takes an Action, was given {self.action!r}; write Put(Action('TYPE'))"
            )


@dataclass(frozen=True, slots=True)
class Select:
    """Sends back the state, or ``selector(state)``."""

    selector: Callable[[Any], Any] | None = None
