"""One saga as text: where it stands, its steps, its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milo_durable.cli.output import table
from milo_durable.cli.text import moment, one_line
from milo_durable.cli.timeline import HEADER, StepState, history_errors, history_rows
from milo_durable.cli.words import held_until, waits_for
from milo_durable.snapshot import SagaSnapshot
from milo_durable.summary import SagaSummary


def shown(saga: SagaSnapshot, steps: Sequence[StepState]) -> list[str]:
    """What ``show`` prints, line by line."""
    lines = [f"saga {saga.id}", *_facts(saga), ""]
    if steps:
        rows = [
            (one_line(each.step_id), each.state, str(each.attempts), one_line(each.step_name))
            for each in steps
        ]
        lines += [*table(rows, ("STEP", "STATE", "ATTEMPTS", "CLASS")), ""]
    return [*lines, *_timeline(saga)]


def _facts(saga: SagaSnapshot) -> list[str]:
    summary = SagaSummary.of(saga)
    waiting = waits_for(summary)
    facts = {
        "name": f"{one_line(saga.saga_name)}, version {saga.definition_version}",
        "aggregation": one_line(saga.aggregation_id),
        "status": f"{saga.status}, {waiting}" if waiting else str(saga.status),
        "token": "" if saga.awaiting is None else str(saga.step_execution_token),
        "held until": held_until(summary),
        "error": one_line(saga.error or ""),
        "started": f"{moment(saga.created_at)} UTC",
        "changed": f"{moment(saga.updated_at)} UTC",
    }
    return [f"  {what:<11}  {fact}" for what, fact in facts.items() if fact]


def _timeline(saga: SagaSnapshot) -> Iterator[str]:
    """The history; an error stands below its row, for it may be long."""
    header, *rows = table(history_rows(saga), HEADER)
    yield header
    for row, error in zip(rows, history_errors(saga), strict=True):
        yield row
        if error:
            yield f"    {error}"
