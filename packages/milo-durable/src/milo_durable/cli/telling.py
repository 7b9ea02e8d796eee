"""A worker that says what it does."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import click

from milo_durable.cli.calls import Opened, run
from milo_durable.orchestrator import SagaOrchestrator
from milo_durable.worker import Worker

_log = logging.getLogger(__name__)


def work(opened: Opened, *, limit: int, poll: timedelta, grace: timedelta) -> None:
    """Do what is due until a signal, and log the beginning and the end.

    Raises:
        ClickException: no saga is registered.
    """

    async def working(orchestrator: SagaOrchestrator[Any]) -> None:
        names = _names(orchestrator)
        worker = _TellingWorker(orchestrator, limit=limit, poll=poll, grace=grace)
        _log.info("working on %s", ", ".join(names))
        await worker.run(handle_signals=True)
        stats = worker.stats
        _log.info(
            "stopped; sagas taken: %d, events delivered: %d, handed over: %d, failures: %d",
            *(stats.taken, stats.delivered, stats.handed_over, stats.failures),
        )

    run(opened, working, log_level=logging.INFO)


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
