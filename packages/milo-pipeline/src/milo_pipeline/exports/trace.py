"""A run in the trace event format, which Perfetto and ``chrome://tracing`` open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, TypeAlias

from milo_pipeline.exports._text import visible
from milo_pipeline.exports.spans import Span, item_spans
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import RETRYING

_PID = 1
_Key: TypeAlias = str | tuple[str, int]
"""The name of a phase, or that of a phase with the number of an item that has begun."""


def chrome_trace(pipeline: Pipeline, state: PipelineState, spans: Sequence[Span]) -> dict[str, Any]:
    """The run as a dict that JSON can hold: an event for each attempt, in microseconds.

    A phase keeps one lane from its first attempt to its end; phases that ran at the same
    time have different lanes, and there are no more lanes than that takes. Each failed
    attempt that another followed is marked at its end. Arrows lead from the last attempt of
    a phase to the first attempt of each phase that waited for it. An item of a phase with
    ``map_over`` is an event too, over all its attempts, in a lane like those of phases.
    """
    by_phase, items = _by_phase(spans), _items(state)
    lanes = _lanes({**by_phase, **{key: [span] for key, span in items.items()}})
    start = state.started_at
    events = [
        *_names(pipeline.name, len(set(lanes.values()))),
        *(_attempt(span, lanes[span.phase], start) for span in spans),
        *(_attempt(span, lanes[key], start) for key, span in items.items()),
        *(_retry(span, lanes[span.phase], start) for span in spans if span.outcome == RETRYING),
        *_arrows(pipeline, by_phase, lanes, start),
    ]
    return {
        "displayTimeUnit": "ms",
        "otherData": {"pipeline": visible(pipeline.name), "status": state.status},
        "traceEvents": events,
    }


def _by_phase(spans: Iterable[Span]) -> dict[_Key, list[Span]]:
    by_phase: dict[_Key, list[Span]] = {}
    for span in sorted(spans, key=lambda span: span.started_at):
        by_phase.setdefault(span.phase, []).append(span)
    return by_phase


def _items(state: PipelineState) -> dict[_Key, Span]:
    """A span for each item that has begun. A phase may be called as an item is, a key may not."""
    return {
        (phase.name, number): span
        for phase in state.phases
        for number, span in enumerate(item_spans(phase))
    }


def _lanes(attempts_of: dict[_Key, list[Span]]) -> dict[_Key, int]:
    """A lane for each phase and item: the first one that is free when it begins."""
    lanes: dict[_Key, int] = {}
    free: list[int] = []
    taken: list[tuple[float, int]] = []
    by_start = sorted(attempts_of.items(), key=lambda each: each[1][0].started_at)
    for name, attempts in by_start:
        while taken and taken[0][0] <= attempts[0].started_at:
            heappush(free, heappop(taken)[1])
        lanes[name] = heappop(free) if free else len(taken)
        heappush(taken, (attempts[-1].ended_at, lanes[name]))
    return lanes


def _names(pipeline: str, lanes: int) -> list[dict[str, Any]]:
    names: list[tuple[str, int, str]] = [("process_name", 0, visible(pipeline))]
    names += [("thread_name", lane, f"lane {lane + 1}") for lane in range(lanes)]
    return [
        {"name": what, "ph": "M", "pid": _PID, "tid": lane, "args": {"name": name}}
        for what, lane, name in names
    ]


def _attempt(span: Span, lane: int, start: float) -> dict[str, Any]:
    args: dict[str, Any] = {"attempt": span.attempt, "outcome": span.outcome}
    if span.error:
        args["error"] = visible(span.error)
    return {
        **_event("X", span.phase, lane, span.started_at - start),
        "dur": _micros(span.ended_at - span.started_at),
        "cat": span.outcome,
        "args": args,
    }


def _retry(span: Span, lane: int, start: float) -> dict[str, Any]:
    event = _event("i", f"retry {span.phase}", lane, span.ended_at - start)
    args = {"attempt": span.attempt, "error": visible(span.error)}
    return {**event, "s": "t", "cat": RETRYING, "args": args}


def _arrows(
    pipeline: Pipeline, by_phase: dict[_Key, list[Span]], lanes: dict[_Key, int], start: float
) -> Iterable[dict[str, Any]]:
    number = 0
    for phase in pipeline.phases:
        for needed in phase.depends_on:
            if phase.name not in by_phase or needed not in by_phase:
                continue
            number += 1
            common = {"cat": "dependency", "id": number}
            # In the middle of both events, for an arrow is tied to what lies around its ends.
            leaving = _middle(by_phase[needed][-1]) - start
            arriving = _middle(by_phase[phase.name][0]) - start
            yield {**_event("s", "needed by", lanes[needed], leaving), **common}
            yield {**_event("f", "needed by", lanes[phase.name], arriving), **common, "bp": "e"}


def _event(kind: str, name: str, lane: int, at: float) -> dict[str, Any]:
    return {"name": visible(name), "ph": kind, "pid": _PID, "tid": lane, "ts": _micros(at)}


def _middle(span: Span) -> float:
    return (span.started_at + span.ended_at) / 2


def _micros(seconds: float) -> float:
    return round(seconds * 1e6, 3)
