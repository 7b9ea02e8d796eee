"""``milo graph``: what a pipeline will do, without doing it."""

from __future__ import annotations

import sys

import click

from milo._cli.options import target_arguments
from milo._cli.plan_text import plan_lines
from milo._cli.resolve import resolve_pipeline
from milo._cli.streams import LineWriter
from milo._cli.symbols import symbols_for


@click.command()
@target_arguments
def graph(target: str, args: tuple[str, ...], *, debug: bool) -> int:
    """Show the phases of the pipeline TARGET and what they wait for; nothing runs.

    ARGS go to the function that makes the pipeline, if TARGET is one.
    """
    pipeline = resolve_pipeline(target, args)
    writer = LineWriter(sys.stdout)
    writer.write_lines(*plan_lines(pipeline, symbols_for(sys.stdout.encoding)))
    writer.close()
    return 0
