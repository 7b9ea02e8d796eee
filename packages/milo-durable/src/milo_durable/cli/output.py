"""What is printed: tables, in colour and cut to its width on a terminal, and logs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from milo_durable.cli.text import printable
from milo_durable.status import SagaStatus

_STYLES = {
    SagaStatus.RUNNING: "cyan",
    SagaStatus.SUSPENDED: "yellow",
    SagaStatus.COMPENSATING: "magenta",
    SagaStatus.COMPENSATING_SUSPENDED: "magenta",
    SagaStatus.COMPLETED: "green",
    SagaStatus.FAILED: "red",
    SagaStatus.TIMEOUT: "red",
    "SUCCESS": "green",
    "SKIPPED": "green",
    "WAITING": "yellow",
    "ERROR": "red",
}
_NARROWEST = 16
"""How wide the last column is at least, if it has so much to say."""


def is_terminal() -> bool:
    """Whether a person reads along."""
    return sys.stdout.isatty()


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    """The rows in columns, a line each; on a terminal what does not fit in it is cut off."""
    *widths, last = [max(map(cell_len, column)) for column in zip(header, *rows, strict=True)]
    console = Console(file=sys.stdout, highlight=False)
    taken = sum(widths) + 2 * len(widths)
    if is_terminal():
        last = min(last, max(console.width - taken, _NARROWEST))
    console.width = taken + last
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title, width in zip(header, [*widths, last], strict=True):
        drawn.add_column(Text(title, "bold"), no_wrap=True, width=width, overflow=_cut())
    for row in rows:
        drawn.add_row(*[Text(cell, _STYLES.get(cell, "")) for cell in row])
    with console.capture() as captured:
        console.print(drawn)
    return [line.rstrip() for line in captured.get().splitlines()]


def _cut() -> Literal["ellipsis", "crop"]:
    """How text is cut off: with a sign that there is more, where the output has it."""
    try:
        "…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "crop"
    return "ellipsis"


def print_lines(*lines: str) -> None:
    """Write the lines to standard output; a reader that has gone away is no error.

    Raises:
        ClickException: they could not be written.
    """
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        _discard()
    except OSError as error:
        _discard()
        raise click.ClickException(f"cannot write the output: {error}") from error


def log_to_stderr(level: int) -> None:
    """Show what is logged, unless the application has seen to that itself."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class _Printable(logging.Formatter):
    """Lines without control characters, whatever the errors in them say."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, safe to show."""
        return "\n".join(map(printable, super().format(record).split("\n")))


def _discard() -> None:
    """Send what could not be written nowhere, so that it is not tried again at the end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)
