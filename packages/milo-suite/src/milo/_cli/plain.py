"""The display for logs and CI: a line for each event, a summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import click

from milo._cli.events import Event, EventReader
from milo._cli.interrupts import WINDING_DOWN
from milo._cli.items import MOST_TOLD, is_failed
from milo._cli.outcome import Outcome, closing_lines
from milo._cli.streams import LineWriter
from milo_core import Action
from milo_pipeline import PipelineState
from milo_pipeline.statuses import SKIPPED
from milo_pipeline.text import counted, in_words, one_line, printable

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
    """The line an event is told with.

    Events of the whole pipeline have none, nor have items that do well. Of those that do not,
    the first ones of a phase have a line each, and the phase's last line counts them all.

    >>> event_line(Event("phase_log", 0.1, "build", phase="render", line="page 3"))
    'render | page 3'
    """
    tell = _TOLD.get(event.kind)
    told = "" if tell is None else tell(event)
    return f"{one_line(event.phase):<{width}}{told}" if told else None


def item_words(event: Event) -> str:
    """What became of an item that failed or was skipped; of all others, and of too many, ``""``."""
    troubled = event.items.failed + event.items.skipped
    if not (event.status == SKIPPED or is_failed(event.status, event.error)):
        return ""
    if troubled > MOST_TOLD:
        return "and more items, counted at the end" if troubled == MOST_TOLD + 1 else ""
    return f"item {event.item} {event.status}: {one_line(event.error)}"


def _started(event: Event) -> str:
    return "  started" if event.attempt <= 1 else f"  attempt {event.attempt} started"


def _log(event: Event) -> str:
    return f" | {printable(event.line)}".rstrip()


def _retrying(event: Event) -> str:
    return f"  attempt {event.attempt} failed, retrying: {one_line(event.error)}"


def _item(event: Event) -> str:
    words = item_words(event)
    return words and f"  {words}"


def _completed(event: Event) -> str:
    if event.source:
        return f"  completed from {one_line(event.source)}"
    return f"  completed in {in_words(event.elapsed)}{_items(event)}"


def _ended(verb: str) -> Callable[[Event], str]:
    """``verb`` with the error, if there is one; a phase may be skipped without."""

    def tell(event: Event) -> str:
        why = f": {one_line(event.error)}" if event.error else ""
        return f"  {verb}{why}{_items(event)}"

    return tell


def _items(event: Event) -> str:
    return f" ({event.items})" if event.items.total else ""


_TOLD: Mapping[str, Callable[[Event], str]] = {
    "phase_started": _started,
    "phase_log": _log,
    "phase_retrying": _retrying,
    "phase_mapped": lambda event: f"  {counted(event.count, 'item')}",
    "phase_item": _item,
    "phase_completed": _completed,
    "phase_skipped": _ended("skipped"),
    "phase_failed": _ended("failed"),
}
