"""``milo replay``: a run that is over, at any of its moments."""

from __future__ import annotations

import click

from milo_pipeline.exports import read_timeline


@click.command()
@click.argument("timeline")
def replay(timeline: str) -> int:
    """Show the run in TIMELINE, the file that ``run --timeline`` has written, and its course.

    The keys are those of ``run --tui``; ← and → go to the moment before and the next, and space
    plays the run from there. Without a terminal its end is printed.
    """
    recorded = read_timeline(timeline)
    from milo_tui.replaying import ReplayApp

    ReplayApp(recorded).run()
    return 0
