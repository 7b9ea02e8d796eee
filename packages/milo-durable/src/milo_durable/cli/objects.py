"""What ``--json`` prints; the README documents it. Keys are always in the same order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from milo_durable.snapshot import Branch, SagaSnapshot
from milo_durable.summary import SagaSummary

if TYPE_CHECKING:
    from milo_durable.cli.timeline import StepState

ENTRY_KEYS: Final = (
    *("timestamp", "phase", "status", "step_id", "step_name", "attempt", "token"),
    *("input", "output", "error", "skipped"),
)


def as_json(value: Mapping[str, Any]) -> str:
    """One line; other characters than ASCII are escaped."""
    return json.dumps(value)


def list_object(sagas: Sequence[SagaSummary]) -> dict[str, Any]:
    """What ``list`` prints."""
    return {"sagas": [saga_object(saga) for saga in sagas]}


def saga_object(saga: SagaSummary) -> dict[str, Any]:
    """The fields of a summary, as JSON has them; moments are in UTC."""
    return _fields(saga)


def show_object(saga: SagaSnapshot, steps: Sequence[StepState]) -> dict[str, Any]:
    """What ``show`` prints: a summary, and all that it leaves out."""
    return {
        **saga_object(SagaSummary.of(saga)),
        "step_execution_token": str(saga.step_execution_token),
        "crash_count": saga.crash_count,
        "context": _plain(saga.context),
        "steps": [asdict(step) for step in steps],
        "step_history": [_entry(each) for each in saga.step_history],
    }


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: _plain(entry.get(key)) for key in ENTRY_KEYS}
    return known | {key: _plain(entry[key]) for key in sorted(entry.keys() - known.keys())}


def _fields(value: SagaSummary | Branch) -> dict[str, Any]:
    return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}


def _plain(value: Any) -> Any:
    """``value`` as JSON takes it. PostgreSQL has an order of keys of its own."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Branch):
        return _fields(value)
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value)}
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value
