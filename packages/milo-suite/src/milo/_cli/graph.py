"""``milo graph``: what a pipeline will do, without doing it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import click

from milo._cli.documents import output_option, print_out, put_out
from milo._cli.options import target_arguments
from milo._cli.plan_text import plan_text
from milo._cli.resolve import resolve_pipeline
from milo_pipeline import Pipeline
from milo_pipeline.exports import to_dot, to_mermaid, to_svg
from milo_tui.symbols import UNICODE, symbols_for

FORMATS: Final[dict[str, Callable[[Pipeline], str]]] = {
    "text": lambda pipeline: plan_text(pipeline, UNICODE),
    "mermaid": to_mermaid,
    "dot": to_dot,
    "svg": to_svg,
}


@click.command()
@target_arguments
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    help="A text to read (the default), Mermaid, Graphviz DOT, or a picture.",
)
@output_option
def graph(target: str, args: tuple[str, ...], *, form: str, output: str | None, debug: bool) -> int:
    """Show the phases of the pipeline TARGET and what they wait for; nothing runs.

    ARGS go to the function that makes the pipeline, if TARGET is one.
    """
    pipeline = resolve_pipeline(target, args)
    if form == "text" and output is None:  # for a terminal, in the signs it has
        print_out(plan_text(pipeline, symbols_for(sys.stdout.encoding)))
    else:
        put_out(FORMATS[form](pipeline), output)
    return 0
