"""What stops the command, and the exit codes it speaks in."""

from __future__ import annotations

from enum import IntEnum

import click

from milo_core.errors import MiloError
from milo_pipeline.text import one_line


class Exit(IntEnum):
    """What the command tells the shell; 128 + the signal for signals other than Ctrl-C."""

    DONE = 0
    PHASE_FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


class CommandError(MiloError):
    """The command cannot do what was asked: one line on stderr, exit code 2.

    The message says what was given, what was expected and what to do. Where it stands for
    an error in somebody's code, that error is the ``__cause__``, which ``--debug`` shows.
    """


def refuse(message: str) -> int:
    """Say on stderr, in one line, what stopped the command; the exit code for that."""
    click.echo(f"milo: error: {one_line(message)}", err=True)
    return Exit.USAGE
