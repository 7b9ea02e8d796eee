"""One saga as text: where it stands, its steps, its history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from milo_durable.cli.output import table
from milo_durable.cli.text import moment, one_line
from milo_durable.cli.timeline import HEADER, StepState, history_errors, history_rows
from milo_durable.cli.words import held_until, in_flight, waits_for
from milo_durable.snapshot import Branch, SagaSnapshot


def shown(saga: SagaSnapshot, steps: Sequence[StepState]) -> list[str]:
    """What ``show`` prints, line by line."""
    lines = [f"saga {saga.id}", *_told(_facts(saga)), ""]
    for step_id, branch in in_flight(saga):
        lines += [f"step {one_line(step_id)}", *_told(_standing(branch, branch.token)), ""]
    if steps:
        rows = [
            (one_line(each.step_id), each.state, str(each.attempts), one_line(each.step_name))
            for each in steps
        ]
        lines += [*table(rows, ("STEP", "STATE", "ATTEMPTS", "CLASS")), ""]
    return [*lines, *_timeline(saga)]


def _facts(saga: SagaSnapshot) -> dict[str, str]:
    """Of a saga that has several steps in flight, they say where it stands."""
    status = {"status": str(saga.status)}
    return {
        "name": f"{one_line(saga.saga_name)}, version {saga.definition_version}",
        "aggregation": one_line(saga.aggregation_id),
        **(status if saga.branches else _standing(saga, saga.step_execution_token)),
        "started": f"{moment(saga.created_at)} UTC",
        "changed": f"{moment(saga.updated_at)} UTC",
    }


def _standing(standing: SagaSnapshot | Branch, token: UUID) -> dict[str, str]:
    waiting = waits_for(standing)
    return {
        "status": f"{standing.status}, {waiting}" if waiting else str(standing.status),
        "token": "" if standing.awaiting is None else str(token),
        "held until": held_until(standing),
        "crashes": f"{standing.crash_count} in a row" if standing.crash_count else "",
        "error": one_line(standing.error or ""),
    }


def _told(facts: Mapping[str, str]) -> list[str]:
    return [f"  {what:<11}  {fact}" for what, fact in facts.items() if fact]


def _timeline(saga: SagaSnapshot) -> Iterator[str]:
    """The history; an error stands below its row, for it may be long."""
    header, *rows = table(history_rows(saga), HEADER)
    yield header
    for row, error in zip(rows, history_errors(saga), strict=True):
        yield row
        if error:
            yield f"    {error}"
