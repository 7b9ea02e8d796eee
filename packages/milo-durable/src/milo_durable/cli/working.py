"""``milo saga worker``: does what is due, until it is told to stop."""

from __future__ import annotations

from datetime import timedelta

import click

from milo_durable.cli.options import Source, app_options

_POLL, _GRACE = 1.0, 20.0
"""In seconds, as ``Worker`` has them, which stands on the database and is not imported here."""


def _span(ctx: click.Context, param: click.Parameter, seconds: float) -> timedelta:
    """A length of time above 0, given in seconds."""
    try:
        length = timedelta(seconds=seconds)
    except (ValueError, OverflowError):  # not a number, or beyond all bounds
        length = timedelta(0)
    if length <= timedelta(0):
        raise click.BadParameter(f"{seconds} is no number of seconds above 0")
    return length


@click.command()
@app_options
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many sagas are driven at the same time.",
)
@click.option(
    "--poll",
    metavar="SECONDS",
    type=float,
    callback=_span,
    default=_POLL,
    show_default=True,
    help="How long it sleeps at most.",
)
@click.option(
    "--grace",
    metavar="SECONDS",
    type=float,
    callback=_span,
    default=_GRACE,
    show_default=True,
    help="How long steps in flight may take once it is told to stop.",
)
@click.option(
    "--publish",
    metavar="MODULE:NAME",
    help="A function that sends a message of the outbox; all are published with it.",
)
def worker(
    source: Source, *, limit: int, poll: timedelta, grace: timedelta, publish: str | None
) -> int:
    """Do what is due, until SIGTERM or Ctrl-C.

    It takes the sagas that are registered with the orchestrator; any number of workers may run
    on one database. Once it is told to stop, steps in flight are let end, and their sagas are
    left to other workers. The outbox is published if --publish says how.
    """
    from milo_durable.cli.telling import work

    work(source.opening(), publish=publish, limit=limit, poll=poll, grace=grace)
    return 0
