"""The whole run as a document: what the report shows can be made from it, anywhere.

The format ``milo.timeline/1`` is a JSON object. It begins with what ``pipeline_to_timeline``
tells, so that whoever reads that reads this; times are seconds since the start of the run.

    schema      "milo.timeline/1"
    pipeline    the pipeline's name
    status      "pending", "running", "completed" or "failed"
    error       why it failed, or ""
    elapsed     seconds, to three places
    ended       the same, to six
    progress    from 0 to 1
    phases      in the order of their declaration, each an object:
        name, description, depends_on, parallel, weight
                    as it was declared
        status      "pending", "running", "retrying", "completed", "failed" or "skipped"
        error       why it failed, was skipped or waits for its next attempt, or null
        traceback   of that error, as text, or ""
        elapsed     seconds over all attempts and the waits between them, to three places
        started, ended
                    when its first attempt began and it ended, to six places; null for a
                    phase that has not begun
        attempt     how many attempts there have been
        attempts    each an object: attempt, started, ended, outcome, error
        source      where its result came from, such as "cache", or "" if its handler ran
        items       of a phase with map_over, in their order, each an object: status, error,
                    started, ended, attempt
        log_count   the number of logs
        logs        what it printed, as far as it was kept: arrays of line, stream, time

A reader must take keys that are not listed here, and do without source and items, which
documents of earlier versions lack. A change that one would misread has another
number behind the slash.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args

from milo_pipeline.errors import DefinitionError
from milo_pipeline.exports._fields import Fields, Problem
from milo_pipeline.exports.errors import TimelineError
from milo_pipeline.exports.spans import Outcome, Span
from milo_pipeline.phase import Phase
from milo_pipeline.phase_status import PhaseLog, PhaseStatus
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import PENDING, PhaseStatusName, PipelineStatusName
from milo_pipeline.timeline import pipeline_to_timeline

SCHEMA: Final = "milo.timeline/1"
_KIND: Final = "milo.timeline/"


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run that was read back. Its times begin at 0.

    Attributes:
        pipeline: the phases as they were declared, to look at; their handlers are not there.
        tracebacks: of the errors of phases, by name.
    """

    pipeline: Pipeline
    state: PipelineState
    spans: tuple[Span, ...]
    tracebacks: Mapping[str, str] = field(default_factory=dict)


def timeline_json(
    pipeline: Pipeline,
    state: PipelineState,
    spans: Sequence[Span],
    tracebacks: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The run as a dict that JSON can hold, in the format that this module describes."""
    start = state.started_at
    told = pipeline_to_timeline(state)
    attempts: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        attempts.setdefault(span.phase, []).append(_attempt(span, start))
    by_name = {phase.name: phase for phase in pipeline.phases}
    told["phases"] = [
        {
            **entry,
            **_declared(by_name[status.name]),
            **_course(status, start),
            "traceback": (tracebacks or {}).get(status.name, ""),
            "attempts": attempts.get(status.name, []),
        }
        for entry, status in zip(told["phases"], state.phases, strict=True)
    ]
    return {"schema": SCHEMA, **told, "error": state.error, "ended": round(state.elapsed, 6)}


def read_timeline(path: str | os.PathLike[str]) -> Timeline:
    """What ``write_timeline`` has written, ready for ``html_report`` and the others.

    Raises:
        TimelineError: the file cannot be read, is no timeline, is damaged, or is in another
            version of the format; the message says which and where.
    """
    name = repr(os.fspath(path))
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as damage:  # also bytes that are not UTF-8
        raise TimelineError(
            f"{name} is no timeline: it is not JSON ({damage}); write one with --timeline"
        ) from damage
    except OSError as failure:
        raise TimelineError(f"cannot read {name}: {failure.strerror}") from failure
    _refuse_foreign(document, name)
    try:
        return _timeline(Fields(document, ""))
    except (Problem, DefinitionError) as damage:
        raise TimelineError(f"{name} is a damaged timeline: {damage}") from damage


# Writing


def _declared(phase: Phase) -> dict[str, Any]:
    return {
        "description": phase.description,
        "depends_on": list(phase.depends_on),
        "parallel": phase.parallel,
        "weight": phase.weight,
    }


def _course(status: PhaseStatus, start: float) -> dict[str, Any]:
    return {
        **_times(status, start),
        "source": status.source,
        "items": [_item(item, start) for item in status.items],
        "logs": [[log.line, log.stream, round(log.timestamp - start, 6)] for log in status.logs],
    }


def _item(item: PhaseStatus, start: float) -> dict[str, Any]:
    told = {"status": item.status, "error": item.error or None, "attempt": item.attempt}
    return {**told, **_times(item, start)}


def _times(status: PhaseStatus, start: float) -> dict[str, Any]:
    begun = status.status != PENDING
    since_start = status.started_at - start
    return {
        "started": round(since_start, 6) if begun else None,
        "ended": round(since_start + status.elapsed, 6) if begun else None,
    }


def _attempt(span: Span, start: float) -> dict[str, Any]:
    return {
        "attempt": span.attempt,
        "started": round(span.started_at - start, 6),
        "ended": round(span.ended_at - start, 6),
        "outcome": span.outcome,
        "error": span.error,
    }


# Reading


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _refuse_foreign(document: object, name: str) -> None:
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == SCHEMA:
        return
    if isinstance(schema, str) and schema.startswith(_KIND):
        raise TimelineError(
            f"{name} is a timeline in the format {schema!r}, this Milo reads {SCHEMA!r}; "
            "read it with the Milo that wrote it"
        )
    raise TimelineError(
        f'{name} is no timeline: it has no "schema": "{SCHEMA}"; write one with --timeline'
    )


def _timeline(document: Fields) -> Timeline:
    entries = document.objects("phases")
    pipeline = Pipeline(document.text("pipeline"), *map(_phase, entries))
    state = PipelineState(
        document.text("pipeline"),
        tuple(map(_status, entries)),
        elapsed=document.seconds("ended"),
        progress=document.seconds("progress"),
        status=document.one_of("status", get_args(PipelineStatusName)),
        error=document.text("error"),
    )
    spans = [
        _span(entry.text("name"), each) for entry in entries for each in entry.objects("attempts")
    ]
    tracebacks = {entry.text("name"): entry.text("traceback") for entry in entries}
    return Timeline(
        pipeline,
        state,
        tuple(sorted(spans, key=lambda span: span.started_at)),
        {name: text for name, text in tracebacks.items() if text},
    )


def _phase(entry: Fields) -> Phase:
    return Phase(
        entry.text("name"),
        _not_there,
        entry.text("description"),
        tuple(entry.texts("depends_on")),
        parallel=entry.flag("parallel"),
        weight=entry.whole("weight"),
    )


def _not_there() -> None:
    raise DefinitionError("this pipeline was read from a timeline, which holds no handlers")


def _status(entry: Fields) -> PhaseStatus:
    name = entry.text("name")
    items = entry.objects("items") if entry.has("items") else []
    return replace(
        _moved(name, entry),
        logs=tuple(PhaseLog(*entry.log(i)) for i in range(entry.length("logs"))),
        items=tuple(_moved(f"{name}[{i}]", item) for i, item in enumerate(items)),
        source=entry.text("source") if entry.has("source") else "",
    )


def _moved(name: str, entry: Fields) -> PhaseStatus:
    """What a phase and an item have in common: how far it came, and when."""
    started, ended = entry.seconds_or_none("started"), entry.seconds_or_none("ended")
    return PhaseStatus(
        name,
        entry.one_of("status", get_args(PhaseStatusName)),
        started or 0.0,
        max(0.0, (ended or 0.0) - (started or 0.0)),
        entry.text_or_none("error") or "",
        entry.whole("attempt"),
    )


def _span(name: str, entry: Fields) -> Span:
    return Span(
        name,
        entry.whole("attempt"),
        entry.seconds("started"),
        entry.seconds("ended"),
        entry.one_of("outcome", get_args(Outcome)),
        entry.text("error"),
    )
