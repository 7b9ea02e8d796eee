"""Where a saga stands, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from milo_durable.cli.text import moment, one_line
from milo_durable.status import WORKING, SagaStatus
from milo_durable.summary import SagaSummary


def why(saga: SagaSummary) -> str:
    """What a saga waits for, or what went wrong with it; empty if there is nothing to say."""
    return "; ".join(part for part in (waits_for(saga), one_line(saga.error or "")) if part)


def waits_for(saga: SagaSummary) -> str:
    """What a saga waits for, and until when; empty if it does not wait."""
    if saga.status == SagaStatus.SUSPENDED and saga.awaiting is not None:
        until = "" if saga.deadline_at is None else f" until {_utc(saga)}"
        return f"waits for {_event(saga.awaiting)}{until}"
    if saga.status in (SagaStatus.SUSPENDED, SagaStatus.COMPENSATING_SUSPENDED):
        return (
            "waits" if saga.deadline_at is None else f"waits for its next attempt at {_utc(saga)}"
        )
    return ""


def held_until(saga: SagaSummary) -> str:
    """Until when a worker has the saga; empty if none has."""
    return _utc(saga) if saga.status in WORKING and saga.deadline_at is not None else ""


def told(saga: SagaSummary) -> str:
    """The saga in one sentence, as after a change."""
    reason = why(saga)
    return f"saga {saga.id} is {saga.status}" + (f": {reason}" if reason else "")


def _event(awaiting: Mapping[str, Any]) -> str:
    types, correlation_id = awaiting.get("event_types"), awaiting.get("correlation_id")
    words = "an event" if types is None else f"the event {' or '.join(map(one_line, types))}"
    return words if correlation_id is None else f"{words} of {one_line(correlation_id)}"


def _utc(saga: SagaSummary) -> str:
    return "" if saga.deadline_at is None else f"{moment(saga.deadline_at)} UTC"
