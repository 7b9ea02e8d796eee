"""The display for GitHub Actions: a group for each phase, an annotation for each failure.

A log is read after the fact: what a phase said should stand in one piece. So one phase at a
time has the open group and writes into it live, the one that began first. What others
say meanwhile is kept, and follows as a group of its own when the open one is closed. A
phase that hangs has shown what it said, for it has the group once nothing else runs.

The runner takes lines of the form ``::command::`` for commands, wherever they come from.
While a group is open, which is whenever something runs, it is told to take none: not from
captured output, nor from what a handler writes past it. Our own text is made harmless.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import click

from milo._cli.events import Event, EventReader
from milo._cli.interrupts import WINDING_DOWN
from milo._cli.outcome import Outcome, closing_lines
from milo._cli.plain import event_line, item_words
from milo._cli.streams import LineWriter
from milo_core import Action
from milo_pipeline import PipelineState
from milo_pipeline.statuses import CANCELLED
from milo_pipeline.text import counted, one_line, printable


def is_github_actions(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a runner of GitHub Actions reads what is printed."""
    return environ.get("GITHUB_ACTIONS") == "true"


@dataclass(slots=True)
class _Story:
    """What is still to be written about a phase that has begun.

    Attributes:
        inside: the lines of its group.
        after: the lines behind its group, once it has ended.
    """

    inside: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


class GitHubDisplay:
    """Writes the phases one after the other, each as a group with its outcome behind it.

    Args:
        token: what lets the runner take commands again; nobody else may know it.
    """

    def __init__(self, writer: LineWriter, token: str | None = None) -> None:
        self._writer = writer
        self._token = secrets.token_hex(16) if token is None else token
        self._reader = EventReader()
        self._stories: dict[str, _Story] = {}  # in the order in which they began
        self._ended: deque[str] = deque()  # in the order in which they ended
        self._over: set[str] = set()
        self._open = ""  # whose group is open; no phase has an empty name

    def showing(self) -> AbstractContextManager[None]:
        """Nothing to put up, nothing to take down."""
        return nullcontext()

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Write what the event has to say, or keep it until its phase has its turn."""
        event = self._reader.read(action, state)
        if event is None:
            return
        if event.kind == "pipeline_started":
            size = counted(len(state.phases), "phase")
            self._writer.write_lines(harmless(f"{one_line(event.pipeline)} started ({size})"))
        elif event.phase:
            self._tell_of_phase(event)

    def interrupted(self) -> None:
        """Say on stderr that the run winds down."""
        click.echo(f"milo: {WINDING_DOWN}", err=True)

    def close(self, outcome: Outcome) -> None:
        """Write what was kept, and the summary.

        Raises:
            CommandError: lines were lost to a write error.
        """
        while self._stories:  # of phases that were left behind, or whose end nobody told
            self._hand_over()
        self._writer.write_lines(*map(harmless, closing_lines(outcome)))
        self._writer.close()

    def _tell_of_phase(self, event: Event) -> None:
        is_new = event.phase not in self._stories and event.phase not in self._over
        if is_new and event.kind in _BEGINNINGS:
            self._begin(event.phase)
        if not (is_new and event.kind == "phase_started"):
            self._go_on(event)

    def _begin(self, phase: str) -> None:
        self._stories[phase] = _Story()
        if not self._open:
            self._writer.write_lines(*self._opening(phase))

    def _go_on(self, event: Event) -> None:
        story = self._stories.get(event.phase)
        if event.kind in _ENDINGS:
            self._over.add(event.phase)
        if story is None:  # it has ended without having begun, or says something afterwards
            self._writer.write_lines(*_afterwards(event, has_begun=False))
        elif event.kind in _ENDINGS:
            story.after = _afterwards(event, has_begun=True)
            self._ended.append(event.phase)
            if event.phase == self._open:
                self._hand_over()
        elif event.phase == self._open:
            self._writer.write_lines(*_inside(event))
        else:
            story.inside += _inside(event)

    def _hand_over(self) -> None:
        """Close the open group, write what has ended meanwhile, open that of who began first.

        In one piece, for between two groups the runner takes commands.
        """
        lines = self._closing()
        while self._ended:
            lines += [*self._opening(self._ended[0]), *self._closing()]
        first = next(iter(self._stories), None)
        self._writer.write_lines(*lines, *([] if first is None else self._opening(first)))

    def _opening(self, phase: str) -> list[str]:
        self._open = phase
        kept, self._stories[phase].inside = self._stories[phase].inside, []
        stop = command("stop-commands", self._token)
        return [command("group", one_line(phase)), stop, *kept]

    def _closing(self) -> list[str]:
        story = self._stories.pop(self._open)
        if self._open in self._ended:
            self._ended.remove(self._open)
        self._open = ""
        return [f"::{self._token}::", command("endgroup"), *story.after]


_BEGINNINGS = frozenset({"phase_started", "phase_log"})
"""A phase whose result comes from a cache says again what it said, and does not start."""
_ENDINGS = frozenset({"phase_completed", "phase_failed", "phase_skipped"})


def command(name: str, data: str = "", *, title: str = "") -> str:
    """A line that the runner takes for a command.

    >>> command("error", "50% done\\nthen: crash", title="build: a, b")
    '::error title=build%3A a%2C b::50%25 done%0Athen: crash'
    """
    properties = f" title={_escaped(title).replace(':', '%3A').replace(',', '%2C')}"
    return f"::{name}{properties if title else ''}::{_escaped(data)}"


def harmless(line: str) -> str:
    """``line`` such that the runner cannot take it for a command, in the new or the old form.

    >>> harmless("::error::forged"), harmless("done ##[group]forged"), harmless("a::b")
    ('| ::error::forged', 'done ## [group]forged', 'a::b')
    """
    line = line.replace("##[", "## [")
    return f"| {line}" if line.lstrip().startswith("::") else line


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _inside(event: Event) -> list[str]:
    """The line in a phase's group, if the event has one.

    Commands are stopped there, so ``::`` may stand as it is.
    """
    if event.kind == "phase_log":
        said = printable(event.line)
    elif event.kind == "phase_started":
        said = f"attempt {event.attempt} started"
    elif event.kind == "phase_mapped":
        said = counted(event.count, "item")
    elif event.kind == "phase_item":
        said = item_words(event)
        if not said:
            return []
    else:
        said = f"attempt {event.attempt} failed, retrying: {one_line(event.error)}"
    return [said.replace("##[", "## [")]  # the page that shows the log acts on these


def _afterwards(event: Event, *, has_begun: bool) -> list[str]:
    """The line behind a phase's group, and the annotation that it deserves.

    There is none for a phase that was cancelled, or left out without having begun: that is
    not its own trouble.
    """
    line = event_line(event)
    told = [] if line is None else [harmless(line)]
    is_failure, is_skip = event.kind == "phase_failed", event.kind == "phase_skipped"
    if event.error == CANCELLED or not (is_failure or (is_skip and has_begun)):
        return told
    message = "\n".join(map(printable, event.error.splitlines()))
    level, verb = ("error", "failed") if is_failure else ("warning", "skipped")
    return [*told, command(level, message, title=f"{one_line(event.phase)} {verb}")]
