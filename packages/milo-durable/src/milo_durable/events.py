"""Events from outside: what a saga waits for, what is sent to it, and what came of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from milo_durable.errors import InvalidEventError


@dataclass(frozen=True, slots=True)
class StepAwaitEvent:
    """What a step returns to wait: its saga is suspended until an event is accepted.

    The step then runs again and sees the event through its root ``input_map``. ``event_types``
    and ``correlation_id`` say which events are accepted, any by default. When ``until`` (an
    aware datetime) passes first, the saga ends as ``TIMEOUT``.
    """

    event_types: Sequence[str] | None = None
    correlation_id: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AwaitingEvent:
    """What a suspended saga is to wait for from now on; see ``SagaOrchestrator.await_event``."""

    event_type: str | None = None
    correlation_id: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotifyEvent:
    """An event: its payload, and what it is told apart by.

    Wherever an event is taken, a mapping is taken too. One with a ``payload`` and one of the
    other three keys is such an event; any other mapping is a payload by itself.
    """

    payload: Mapping[str, Any] = field(default_factory=dict)
    event_id: str | None = None
    event_type: str | None = None
    correlation_id: str | None = None


_MARKS = ("event_id", "event_type", "correlation_id")


def read_event(given: object) -> NotifyEvent:
    """``given`` as an event.

    Raises:
        InvalidEventError: it is none.
    """
    if isinstance(given, NotifyEvent):
        return given
    if not isinstance(given, Mapping):
        raise InvalidEventError(f"an event is a mapping or a NotifyEvent, not {given!r:.200}")
    is_marked = any(mark in given for mark in _MARKS)
    if not ("payload" in given and is_marked) and "event_id" not in given:
        return NotifyEvent(payload=dict(given))
    marks = {mark: given.get(mark) for mark in _MARKS}
    for mark, value in marks.items():
        if value is not None and not isinstance(value, str):
            raise InvalidEventError(f"{mark} of an event must be a text, not {value!r:.200}")
    payload = given.get("payload", {})
    if not isinstance(payload, Mapping):
        raise InvalidEventError(f"the payload of an event must be a mapping, not {payload!r:.200}")
    return NotifyEvent(payload=dict(payload), **marks)


class NotifyResult(Enum):
    """What became of an event. True when it was accepted."""

    ACCEPTED = "accepted"
    NOT_WAITING = "not waiting"
    """The saga is not suspended, or waits for its next attempt only."""
    STALE_TOKEN = "stale token"
    DUPLICATE_EVENT = "duplicate event"
    WRONG_EVENT_TYPE = "wrong event type"
    WRONG_CORRELATION_ID = "wrong correlation id"
    EXPIRED = "expired"

    def __bool__(self) -> bool:
        return self is NotifyResult.ACCEPTED
