"""What sagas do with the store: ``Put``, ``Select``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from milo_core import Action


@dataclass(frozen=True, slots=True, init=False)
class Put:
    """Dispatch ``action``. Sends back ``None`` once the state has changed.

    A ``Take`` yielded directly afterwards sees every action dispatched after this one.
    """

    action: Action

    # By hand: the generated one of a frozen class takes twice as long, and every saga puts.
    def __init__(self, action: Action) -> None:
        if type(action) is not Action and not isinstance(action, Action):
            raise TypeError(f"Put takes an Action, was given {action!r}; write Put(Action('TYPE'))")
        _set_action(self, action)


_set_action = Put.__dict__["action"].__set__


@dataclass(frozen=True, slots=True)
class Select:
    """Sends back the state, or ``selector(state)``."""

    selector: Callable[[Any], Any] | None = None
