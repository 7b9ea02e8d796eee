"""Where a saga stands, or one of its steps in flight, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from milo_durable.cli.text import moment, one_line
from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.status import WORKING, SagaStatus
from milo_durable.summary import SagaSummary

Standing: TypeAlias = SagaSnapshot | SagaSummary | Branch


def why(saga: SagaSummary) -> str:
    """What a saga waits for, or what went wrong with it; empty if there is nothing to say."""
    branches = [branch.error for _, branch in in_flight(saga)]
    errors = dict.fromkeys(one_line(error or "") for error in branches or [saga.error])
    return "; ".join(part for part in (_all_waits(saga), *errors) if part)


def waits_for(standing: Standing) -> str:
    """What a saga or a step waits for, and until when; empty if it does not wait."""
    if standing.status == SagaStatus.SUSPENDED and standing.awaiting is not None:
        until = "" if standing.deadline_at is None else f" until {_utc(standing)}"
        return f"waits for {_event(standing.awaiting)}{until}"
    if standing.status in (SagaStatus.SUSPENDED, SagaStatus.COMPENSATING_SUSPENDED):
        return (
            "waits"
            if standing.deadline_at is None
            else f"waits for its next attempt at {_utc(standing)}"
        )
    return ""


def held_until(standing: Standing) -> str:
    """Until when a worker has a saga or a step; empty if none has."""
    held = standing.status in WORKING and standing.deadline_at is not None
    return _utc(standing) if held else ""


def told(saga: SagaSummary) -> str:
    """The saga in one sentence, as after a change."""
    reason = why(saga)
    return f"saga {saga.id} is {saga.status}" + (f": {reason}" if reason else "")


def in_flight(saga: SagaSnapshot | SagaSummary) -> list[tuple[str, Branch]]:
    """The steps that run beside each other, by their ids; none if only one can run."""
    return sorted(saga.branches.items())


def _all_waits(saga: SagaSummary) -> str:
    """What each step in flight waits for, else what the saga does."""
    if not saga.branches:
        return waits_for(saga)
    waits = [(step_id, waits_for(branch)) for step_id, branch in in_flight(saga)]
    return ", ".join(f"{one_line(step_id)} {words}" for step_id, words in waits if words)


def _event(awaiting: Mapping[str, Any]) -> str:
    types, correlation_id = awaiting.get("event_types"), awaiting.get("correlation_id")
    words = "an event" if types is None else f"the event {' or '.join(map(one_line, types))}"
    return words if correlation_id is None else f"{words} of {one_line(correlation_id)}"


def _utc(standing: Standing) -> str:
    return "" if standing.deadline_at is None else f"{moment(standing.deadline_at)} UTC"
