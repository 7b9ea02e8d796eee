"""Events from outside: what a saga waits for, what is sent to it, and what came of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Any

from milo_durable._json import check_json
from milo_durable.errors import InvalidEventError
from milo_durable.retry import LONGEST


class OnTimeout(StrEnum):
    """What happens by itself when the event that a step waits for does not come in time.

    Whatever it is, the history has an entry with the status ``TIMEOUT``.
    """

    STOP = "stop"
    """The saga is ``TIMEOUT``: an operator decides whether it is tried again or undone."""
    RETRY = "retry"
    """The attempt has failed. The step runs again, and may wait again, as its retry policy
    says; after the last attempt the saga fails as with any other error."""
    COMPENSATE = "compensate"
    """What was completed is undone; if nothing was, the saga is ``FAILED``."""
    FAIL = "fail"
    """The saga is ``FAILED``, and nothing is undone."""


@dataclass(frozen=True, slots=True)
class StepAwaitEvent:
    """What a step returns to wait: its saga is suspended until an event is accepted.

    The step then runs again and sees the event through its root ``input_map``. ``event_types``
    and ``correlation_id`` say which events are accepted, any by default. ``until`` is a moment,
    an aware datetime, and ``within`` a length of time from the moment at which the wait is
    recorded. When that passes first, the saga is ``TIMEOUT``, unless the step was added with
    ``on_timeout=``.

    ``outbox_events`` are published by an ``OutboxDispatcher``: they are stored in the
    transaction that suspends the saga, so both happen or neither. Each is a mapping, which may
    have an ``event_type`` and a ``key``. A step that waits again puts its events out again.
    """

    event_types: Sequence[str] | None = None
    correlation_id: str | None = None
    until: datetime | None = None
    outbox_events: Sequence[Mapping[str, Any]] | None = None
    within: timedelta | None = None

    def __post_init__(self) -> None:
        types = self.event_types
        if isinstance(types, str) or not (types is None or isinstance(types, Sequence)):
            raise InvalidEventError(
                f"event_types must be a list of texts, not {types!r:.200}; for instance ['paid']"
            )
        for each in types or ():
            _check_text("each of event_types", each)
        _check_text("correlation_id", self.correlation_id)
        _check_time(self.until, self.within)


@dataclass(frozen=True, slots=True)
class AwaitingEvent:
    """What a suspended saga is to wait for from now on; see ``SagaOrchestrator.await_event``.

    The fields are those of ``StepAwaitEvent``, with one type of event, or any.
    """

    event_type: str | None = None
    correlation_id: str | None = None
    until: datetime | None = None
    within: timedelta | None = None

    def __post_init__(self) -> None:
        _check_text("event_type", self.event_type)
        _check_text("correlation_id", self.correlation_id)
        _check_time(self.until, self.within)


def deadline_of(event: StepAwaitEvent | AwaitingEvent, now: datetime) -> datetime | None:
    """When the wait for ``event`` is over that begins ``now``, if ever."""
    return event.until if event.within is None else now + event.within


@dataclass(frozen=True, slots=True)
class NotifyEvent:
    """An event: its payload, and what it is told apart by.

    Wherever an event is taken, a mapping is taken too. One with an ``event_id``, or with a
    ``payload`` and another of the keys here, is such an event; without a ``payload`` the rest of
    it is one. Any other mapping is a payload by itself.
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
        return _checked(given.payload, {mark: getattr(given, mark) for mark in _MARKS})
    if not isinstance(given, Mapping):
        raise InvalidEventError(f"an event is a mapping or a NotifyEvent, not {given!r:.200}")
    is_marked = any(mark in given for mark in _MARKS)
    if not ("payload" in given and is_marked) and "event_id" not in given:
        return _checked(given, dict.fromkeys(_MARKS))
    rest = {key: value for key, value in given.items() if key not in _MARKS}
    return _checked(given.get("payload", rest), {mark: given.get(mark) for mark in _MARKS})


def _checked(payload: object, marks: dict[str, Any]) -> NotifyEvent:
    for mark, value in marks.items():
        _check_text(f"{mark} of an event", value)
    if not isinstance(payload, Mapping):
        raise InvalidEventError(f"the payload of an event must be a mapping, not {payload!r:.200}")
    return NotifyEvent(payload=check_json(dict(payload), "the payload of the event"), **marks)


def _check_text(what: str, given: object) -> None:
    if given is None:
        return
    if not isinstance(given, str):
        raise InvalidEventError(f"{what} must be a text, not {given!r:.200}")
    check_json(given, what)


def _check_time(until: object, within: object) -> None:
    if until is not None and within is not None:
        raise InvalidEventError(
            f"until={until!r:.200} and within={within!r:.200} both say when the wait is over; "
            "give one of them"
        )
    if not (until is None or (isinstance(until, datetime) and until.utcoffset() is not None)):
        raise InvalidEventError(
            f"until must be a datetime with a time zone, not {until!r:.200}; for instance "
            "datetime.now(UTC) + timedelta(hours=1)"
        )
    if within is None:
        return
    if not isinstance(within, timedelta) or not timedelta(0) < within <= LONGEST:
        raise InvalidEventError(
            f"within must be a timedelta above 0 and of at most {LONGEST.days} days, not "
            f"{within!r:.200}; for instance timedelta(hours=1)"
        )


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
