"""A worker that says what it does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from milo_durable.cli.calls import Opened, run
from milo_durable.cli.naming import Naming
from milo_durable.errors import SagaDefinitionError
from milo_durable.orchestrator import SagaOrchestrator
from milo_durable.outbox import OutboxDispatcher
from milo_durable.worker import Worker

_log = logging.getLogger(__name__)

_PUBLISH = Naming(
    option="--publish",
    example="shop.outbox:publish",
    expected="a function that takes an OutgoingMessage, plain or async",
)


def work(
    opened: Opened, *, publish: str | None, limit: int, poll: timedelta, grace: timedelta
) -> None:
    """Do what is due until a signal, and log the beginning and the end.

    Raises:
        ClickException: no saga is registered, or what ``publish`` names cannot publish.
    """
    dispatching = _dispatching(publish)

    async def working(orchestrator: SagaOrchestrator[Any]) -> None:
        dispatcher = dispatching(orchestrator)
        names = _names(orchestrator)
        worker = _TellingWorker(
            orchestrator, dispatcher=dispatcher, limit=limit, poll=poll, grace=grace
        )
        _log.info("working on %s", ", ".join(names))
        await worker.run(handle_signals=True)
        stats = worker.stats
        _log.info(
            "stopped; sagas taken: %d, events delivered: %d, messages published: %d, "
            "handed over: %d, failures: %d",
            *(stats.taken, stats.delivered, stats.sent, stats.handed_over, stats.failures),
        )

    run(opened, working, log_level=logging.INFO)


def _dispatching(publish: str | None) -> Callable[[SagaOrchestrator[Any]], OutboxDispatcher | None]:
    """What makes an orchestrator's dispatcher; that is none if nothing is to be published.

    Raises:
        BadOption: ``publish`` names no function that takes a message. So does what is returned
            for an orchestrator that has no outbox.
    """
    if publish is None:
        return lambda _: None
    found = _PUBLISH.load(publish)
    _PUBLISH.check_call(publish, found, "a message")

    def made(orchestrator: SagaOrchestrator[Any]) -> OutboxDispatcher:
        try:
            return OutboxDispatcher(orchestrator, found)
        except SagaDefinitionError as refused:
            raise _PUBLISH.refused(publish, str(refused)) from refused

    return made


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
