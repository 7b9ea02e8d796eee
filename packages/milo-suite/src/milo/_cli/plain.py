"""The display for logs and CI: a line for each event, a summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import click

from milo._cli.events import Event, EventReader
from milo._cli.interrupts import WINDING_DOWN
from milo._cli.outcome import Outcome, closing_lines
from milo._cli.streams import LineWriter
from milo._cli.text import counted, in_words, one_line, printable
from milo_core import Action
from milo_pipeline import PipelineState

_WIDEST_NAME = 24


class PlainDisplay:
    """Writes each event as it is told; nothing is ever rewritten."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._reader = EventReader()
        self._width = 0

    def showing(self) -> AbstractContextManager[None]:
        """Nothing to put up, nothing to take down."""
        return nullcontext()

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Write the event's line, if it has one."""
        event = self._reader.read(action, state)
        if event is None:
            return
        if event.kind == "pipeline_started":
            self._width = name_width(state)
            size = counted(len(state.phases), "phase")
            self._writer.write_lines(f"{one_line(event.pipeline)} started ({size})")
        line = event_line(event, self._width)
        if line is not None:
            self._writer.write_lines(line)

    def interrupted(self) -> None:
        """Say on stderr that the run winds down."""
        click.echo(f"milo: {WINDING_DOWN}", err=True)

    def close(self, outcome: Outcome) -> None:
        """Write the summary. Raises ``CommandError`` if lines were lost to a write error."""
        self._writer.write_lines(*closing_lines(outcome))
        self._writer.close()


def name_width(state: PipelineState) -> int:
    """How wide names are padded, so that what follows them stands in a column."""
    return min(_WIDEST_NAME, max((len(one_line(p.name)) for p in state.phases), default=0))


def event_line(event: Event, width: int = 0) -> str | None:
    """The line an event is told with; events of the whole pipeline have none.

    >>> event_line(Event("phase_log", 0.1, "build", phase="render", line="page 3"))
    'render | page 3'
    """
    tell = _TOLD.get(event.kind)
    return None if tell is None else f"{one_line(event.phase):<{width}}{tell(event)}"


def _started(event: Event) -> str:
    return "  started" if event.attempt <= 1 else f"  attempt {event.attempt} started"


def _log(event: Event) -> str:
    return f" | {printable(event.line)}".rstrip()


def _retrying(event: Event) -> str:
    return f"  attempt {event.attempt} failed, retrying: {one_line(event.error)}"


def _ended(verb: str) -> Callable[[Event], str]:
    """``verb`` with the error, if there is one; a phase may be skipped without."""
    return lambda event: f"  {verb}: {one_line(event.error)}" if event.error else f"  {verb}"


_TOLD: Mapping[str, Callable[[Event], str]] = {
    "phase_started": _started,
    "phase_log": _log,
    "phase_retrying": _retrying,
    "phase_completed": lambda event: f"  completed in {in_words(event.elapsed)}",
    "phase_skipped": _ended("skipped"),
    "phase_failed": _ended("failed"),
}
