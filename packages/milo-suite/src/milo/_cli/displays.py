"""Which display the output gets, and what is said between the runs of one command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from milo._cli.execution import Display
from milo._cli.github import GitHubDisplay, harmless, is_github_actions
from milo._cli.json_lines import JsonDisplay
from milo._cli.plain import PlainDisplay
from milo._cli.streams import LineWriter, stdout_kept_apart
from milo_pipeline import Pipeline


class Output:
    """Standard output as long as the command lasts: a display for each run, lines in between."""

    def __init__(
        self,
        writer: LineWriter,
        make: Callable[[LineWriter], Display],
        tell: Callable[[str, dict[str, Any]], str] = lambda line, event: line,
    ) -> None:
        self._writer = writer
        self._make = make
        self._tell = tell

    def display(
        self, pipeline: Pipeline, make: Callable[[LineWriter], Display] | None = None
    ) -> Display:
        """A new display, for one run of ``pipeline``; by ``make``, if it is given."""
        if any(phase.capture_fds for phase in pipeline.phases):
            self._writer.stand_apart()
        return (make or self._make)(self._writer)

    def say(self, line: str, event: dict[str, Any]) -> None:
        """Write ``line`` for people, or ``event`` for machines. Not while a display shows."""
        self._writer.write_lines(self._tell(line, event))

    @property
    def is_lost(self) -> bool:
        """Whether nothing that is written here arrives any more."""
        return self._writer.has_failed


@contextmanager
def standard_output(*, as_json: bool, plain: bool) -> Iterator[Output]:
    """What this output allows; made before the target is imported, which may print."""
    if as_json:
        with stdout_kept_apart() as stream:
            yield Output(LineWriter(stream), JsonDisplay, lambda line, event: json.dumps(event))
        return
    writer = LineWriter(sys.stdout)
    try:
        if is_github_actions() and not plain:
            yield Output(writer, GitHubDisplay, lambda line, event: harmless(line))
        elif plain or not _can_be_redrawn():
            yield Output(writer, PlainDisplay)
        else:
            from milo._cli.live import LiveDisplay  # rich takes a while; plain goes without

            yield Output(writer, LiveDisplay)
    finally:
        writer.release()


def _can_be_redrawn() -> bool:
    """Whether a person watches: CI services offer terminals whose output becomes a log."""
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return sys.stdout.isatty() and not in_ci and not dumb
