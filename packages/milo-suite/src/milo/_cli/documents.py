"""A document on its way out: to the file that ``--output`` names, or to standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import TypeVar

import click

from milo._cli.streams import LineWriter
from milo_pipeline.exports import write_text

C = TypeVar("C", bound=Callable[..., object])


def output_option(command: C) -> C:
    """Give ``command`` the option ``--output FILE``."""
    return click.option(
        "--output", metavar="FILE", help="Write to FILE instead of standard output."
    )(command)


def put_out(text: str, output: str | None) -> None:
    """Write ``text`` as UTF-8 to the file ``output``, or to standard output without one.

    Raises:
        ExportError: the file cannot be written; what was there is as it was.
        CommandError: standard output took only a part.
    """
    if output is not None:
        write_text(output, text)
        return
    if isinstance(sys.stdout, TextIOWrapper):  # what is redirected to a file says it is UTF-8
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    print_out(text)


def print_out(text: str) -> None:
    """Write ``text`` to standard output in its own encoding; a reader that leaves is no error.

    Raises:
        CommandError: it took only a part.
    """
    writer = LineWriter(sys.stdout)
    writer.write_lines(text.removesuffix("\n"))
    writer.close()
