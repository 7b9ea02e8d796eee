"""Actions: the only thing that changes a store's state, and the type names Milo itself uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

INIT: Final = "@@INIT"
"""Dispatched by every store's constructor, so that reducers can make their first state."""
SAGA_ERROR: Final = "@@SAGA_ERROR"
"""A saga ended with an error: ``{"error": message, "type": class name, "saga_id": id}``."""
SAGA_CANCELLED: Final = "@@SAGA_CANCELLED"
"""A saga was cancelled and has cleaned up: ``{"saga_id": id}``."""
CMD_ERROR: Final = "@@CMD_ERROR"
"""A command raised: ``{"error": message, "type": class name}``."""
TICK: Final = "@@TICK"
"""The answer to a ``TickCmd``, once its interval has passed."""
KEY: Final = "@@KEY"
"""A key was pressed; the payload is a ``Key``."""
RESIZE: Final = "@@RESIZE"
"""A terminal has this size; the payload has ``width`` and ``height``, in characters."""


@dataclass(frozen=True, slots=True, init=False)
class Action:
    """What happened: a type, by which reducers and sagas tell actions apart, and its facts.

    >>> Action("TODO_ADDED", payload="buy milk")
    Action(type='TODO_ADDED', payload='buy milk')
    """

    type: str
    payload: Any = None

    # By hand: the generated one of a frozen class is slower, and there is one for every dispatch.
    def __init__(self, type: str, payload: Any = None) -> None:
        _set_type(self, type)
        _set_payload(self, payload)


_set_type = Action.__dict__["type"].__set__
_set_payload = Action.__dict__["payload"].__set__
