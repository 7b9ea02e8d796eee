"""The display for machines: one JSON object a line, documented in the README."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import click

from milo._cli.events import Event, EventReader
from milo._cli.interrupts import WINDING_DOWN
from milo._cli.outcome import Outcome
from milo._cli.streams import LineWriter
from milo_core import Action
from milo_pipeline import PipelineState, pipeline_to_timeline

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "pipeline_started": ("pipeline",),
    "phase_started": ("phase", "attempt"),
    "phase_log": ("phase", "stream", "line"),
    "phase_retrying": ("phase", "attempt", "max_retries", "error"),
    "phase_mapped": ("phase", "count"),
    "phase_item": ("phase", "item", "status", "attempt", "error"),
    "phase_completed": ("phase", "attempt", "elapsed", "source"),
    "phase_skipped": ("phase", "attempt", "elapsed", "error"),
    "phase_failed": ("phase", "attempt", "elapsed", "error"),
    "pipeline_completed": ("pipeline",),
    "pipeline_cancelled": ("pipeline",),
}
"""What each kind of event carries besides ``event`` and ``at``."""


class JsonDisplay:
    """Writes each event as it is told, and the timeline at the end."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._reader = EventReader()

    def showing(self) -> AbstractContextManager[None]:
        """Nothing to put up, nothing to take down."""
        return nullcontext()

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Write the event."""
        event = self._reader.read(action, state)
        if event is not None:
            extra = _phase_names(state) if event.kind == "pipeline_started" else {}
            self._writer.write_lines(json.dumps({**event_object(event), **extra}))

    def interrupted(self) -> None:
        """Say on stderr that the run winds down."""
        click.echo(f"milo: {WINDING_DOWN}", err=True)

    def close(self, outcome: Outcome) -> None:
        """Write the result. Raises ``CommandError`` if lines were lost to a write error."""
        self._writer.write_lines(json.dumps(result_object(outcome)))
        self._writer.close()


def event_object(event: Event) -> dict[str, Any]:
    """The event as JSON values; times in seconds, to three places.

    >>> event_object(Event("phase_started", 0.25, "build", phase="parse", attempt=1))
    {'event': 'phase_started', 'at': 0.25, 'phase': 'parse', 'attempt': 1}
    """
    values = {key: getattr(event, key) for key in KEYS[event.kind]}
    if "elapsed" in values:
        values["elapsed"] = round(event.elapsed, 3)
    return {"event": event.kind, "at": round(event.at, 3), **values}


def result_object(outcome: Outcome) -> dict[str, Any]:
    """The last line: exit code, final timeline, and what kept each unbegun phase waiting."""
    state = outcome.state
    return {
        "event": "result",
        "at": 0.0 if state is None else round(state.elapsed, 3),
        "exit_code": int(outcome.exit_code),
        "timeline": None if state is None else pipeline_to_timeline(state),
        "blocked": {name: list(by) for name, by in outcome.blocked.items()},
    }


def _phase_names(state: PipelineState) -> dict[str, Any]:
    return {"phases": [phase.name for phase in state.phases]}
