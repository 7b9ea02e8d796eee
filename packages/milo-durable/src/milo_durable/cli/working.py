"""``milo saga worker``: does what is due, until it is told to stop."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import click

from milo_durable.cli.calls import run
from milo_durable.cli.options import Source, app_options
from milo_durable.orchestrator import SagaOrchestrator
from milo_durable.worker import GRACE, POLL, Worker

_log = logging.getLogger(__name__)


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
    default=POLL.total_seconds(),
    show_default=True,
    help="How long it sleeps at most.",
)
@click.option(
    "--grace",
    metavar="SECONDS",
    type=float,
    callback=_span,
    default=GRACE.total_seconds(),
    show_default=True,
    help="How long steps in flight may take once it is told to stop.",
)
def worker(source: Source, *, limit: int, poll: timedelta, grace: timedelta) -> int:
    """Do what is due, until SIGTERM or Ctrl-C.

    It takes the sagas that are registered with the orchestrator; any number of workers may run
    on one database. Once it is told to stop, steps in flight are let end, and their sagas are
    left to other workers.
    """

    async def work(orchestrator: SagaOrchestrator[Any]) -> None:
        names = _names(orchestrator)
        working = _TellingWorker(orchestrator, limit=limit, poll=poll, grace=grace)
        _log.info("working on %s", ", ".join(names))
        await working.run(handle_signals=True)
        stats = working.stats
        _log.info(
            "stopped; sagas taken: %d, events delivered: %d, handed over: %d, failures: %d",
            *(stats.taken, stats.delivered, stats.handed_over, stats.failures),
        )

    run(source.opening(), work, log_level=logging.INFO)
    return 0


def _names(orchestrator: SagaOrchestrator[Any]) -> list[str]:
    """The sagas that are registered. Raises: ClickException: none is."""
    known = sorted(orchestrator.engine.definitions.known())
    if not known:
        raise click.ClickException(
            "no saga is registered with the orchestrator, so there is nothing to work on; call "
            "orchestrator.register(name, definition) where --app makes it"
        )
    return [f"{name} (version {version})" for name, version in known]


class _TellingWorker(Worker):
    """Says that it stops, for that may take as long as its steps do."""

    _is_told = False

    def stop(self) -> None:
        """As there."""
        if not self._is_told:
            self._is_told = True
            _log.info("stopping, as soon as steps in flight have ended")
        super().stop()
