"""A saga's steps and its history, as rows to look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from milo_durable._deciding.transition import COMPENSATE, EXECUTE
from milo_durable.cli.text import moment, one_line, span
from milo_durable.definition import SagaDefinition
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import SagaStatus

HEADER: Final = ("TIME (UTC)", "AFTER", "STEP", "PHASE", "ATTEMPT", "STATUS")

_STATES: Final[Mapping[tuple[str, str], str]] = {
    (EXECUTE, "SUCCESS"): "completed",
    (EXECUTE, "WAITING"): "waiting",
    (EXECUTE, "ERROR"): "failed",
    (EXECUTE, "TIMEOUT"): "timed out",
    (COMPENSATE, "SUCCESS"): "undone",
    (COMPENSATE, "ERROR"): "not undone",
    (COMPENSATE, "TIMEOUT"): "not undone",
}
"""What the last entry of a step makes of it."""
_AT_WORK: Final[Mapping[SagaStatus, str]] = {
    SagaStatus.RUNNING: "running",
    SagaStatus.COMPENSATING: "being undone",
}


@dataclass(frozen=True, slots=True)
class StepState:
    """A step, what has come of it so far, and how often it was run or undone."""

    step_id: str
    step_name: str
    state: str
    attempts: int


def steps_of(saga: SagaSnapshot, definition: SagaDefinition | None) -> list[StepState]:
    """The steps of the definition, else those that the history knows."""
    steps = () if definition is None else definition.steps
    names = {step.step_id: step.name for step in steps}
    names |= {entry["step_id"]: entry["step_name"] for entry in saga.step_history}
    standing = {name: branch.status for name, branch in saga.branches.items()}
    if steps and not standing:
        standing = {steps[saga.current_step_index].step_id: saga.status}
    at_work = {step_id: _AT_WORK.get(status) for step_id, status in standing.items()}
    states = []
    for step_id, name in names.items():
        entries = [entry for entry in saga.step_history if entry["step_id"] == step_id]
        state = at_work.get(step_id) or _state(entries)
        states.append(StepState(step_id, name, state, len(entries)))
    return states


def history_rows(saga: SagaSnapshot) -> list[tuple[str, ...]]:
    """The start, then a row for each attempt as it ended."""
    start = saga.created_at
    attempts = [_row(entry, start) for entry in saga.step_history]
    return [(moment(start), f"+{span(start - start)}", "", "start", "", ""), *attempts]


def history_errors(saga: SagaSnapshot) -> list[str]:
    """What went wrong, for each row; empty where nothing did."""
    return ["", *[one_line(entry["error"] or "") for entry in saga.step_history]]


def _row(entry: Mapping[str, Any], start: datetime) -> tuple[str, ...]:
    ended = datetime.fromisoformat(entry["timestamp"])
    return (
        moment(ended),
        f"+{span(ended - start)}",
        one_line(entry["step_id"]),
        entry["phase"],
        str(entry["attempt"]),
        "SKIPPED" if entry["skipped"] else entry["status"],
    )


def _state(entries: list[Mapping[str, Any]]) -> str:
    if not entries:
        return "pending"
    last = entries[-1]
    if last["skipped"]:
        return "skipped"
    return _STATES.get((last["phase"], last["status"]), one_line(last["status"]))
