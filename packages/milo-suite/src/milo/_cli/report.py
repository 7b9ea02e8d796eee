"""``milo report``: the page that tells a run, from the timeline it left behind."""

from __future__ import annotations

import click

from milo._cli.documents import output_option, put_out
from milo_pipeline.exports import html_report, read_timeline


@click.command()
@click.argument("timeline")
@output_option
def report(timeline: str, *, output: str | None) -> int:
    """Make an HTML page from TIMELINE, the file that ``run --timeline`` has written."""
    run = read_timeline(timeline)
    put_out(html_report(run.pipeline, run.state, run.spans, run.tracebacks), output)
    return 0
