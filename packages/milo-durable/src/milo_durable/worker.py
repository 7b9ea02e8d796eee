"""The worker: has what is due done, as soon as it is, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from milo_durable._bell import Bell
from milo_durable.definition import check_span
from milo_durable.engine import Views
from milo_durable.errors import SagaDefinitionError
from milo_durable.orchestrator import SagaOrchestrator
from milo_durable.outbox import OutboxDispatcher
from milo_durable.snapshot import SagaSnapshot

_log = logging.getLogger(__name__)

POLL = timedelta(seconds=1)
GRACE = timedelta(seconds=20)
LONGEST_PAUSE = 30.0
"""How many seconds a worker waits at most before it asks a database again that was away."""

LONGEST_ROUND = 5.0
"""How many seconds taking what is due may take when there is no grace, or no more."""


@dataclass(slots=True)
class WorkerStats:
    """What a worker has done so far.

    ``taken`` counts sagas whose deadline had passed, ``delivered`` events of the inbox,
    ``sent`` messages of the outbox, ``handed_over`` sagas left to other workers between two
    steps, and ``failures`` what did not get done because of an error, mostly the database's.
    """

    taken: int = 0
    delivered: int = 0
    sent: int = 0
    handed_over: int = 0
    failures: int = 0


class Worker:
    """Does what ``run_due`` and ``run_inbox_due`` do, again and again; any number may run.

    It sleeps until the next deadline, at most ``poll``. On PostgreSQL (asyncpg) it is woken as
    soon as an event is stored, a saga begins to wait, is handed over or leaves its place to one
    whose turn it is; elsewhere these are found after ``poll`` at the latest. A slow saga holds
    up no other: up to ``limit`` are driven at a time. While the database is away it waits, and
    goes on when it is back.

        worker = Worker(orchestrator)
        await worker.run(handle_signals=True)

    Args:
        orchestrator: whose sagas; those that are registered there are taken, no others.
        dispatcher: publishes the outbox beside it; what ``publish`` raises is the dispatcher's.
        limit: how many sagas are driven at the same time, and messages published.
        poll: how long it sleeps at most.
        grace: how long steps in flight may take after ``stop``.

    Raises:
        SagaDefinitionError: an argument that cannot be meant.
    """

    def __init__(
        self,
        orchestrator: SagaOrchestrator[Any],
        *,
        dispatcher: OutboxDispatcher | None = None,
        limit: int = 100,
        poll: timedelta = POLL,
        grace: timedelta = GRACE,
    ) -> None:
        _check_limit(limit)
        check_span("poll", poll)
        check_span("grace", grace)
        self.stats = WorkerStats()
        self._engine = orchestrator.engine
        self._inbox = orchestrator.inbox
        self._limit, self._poll, self._grace = limit, poll, grace
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._driving: set[asyncio.Task[None]] = set()
        self._dispatcher = dispatcher
        self._publishing: set[asyncio.Task[None]] = set()  # of one, or none
        self._publish_again = False
        self._bell = Bell(self._engine.database, self._engine.table.channel, self._wake.set)
        self._outage = _Outage(poll.total_seconds())
        self._outage_of_outbox = _Outage(poll.total_seconds())

    async def run(self, *, handle_signals: bool = False) -> None:
        """Work until ``stop`` is called; once.

        With ``handle_signals``, SIGTERM and SIGINT stop it; the handlers before are put back
        at the end. After ``stop`` nothing new is taken. A saga is handed over to other workers
        when its step has ended. A step that takes longer than the grace period is cancelled,
        and others take its saga over when the lease has run out. Cancelling ``run`` is
        stopping without grace.
        """
        with _signals_call(self.stop) if handle_signals else ExitStack():
            taking = asyncio.create_task(self._take_until_stopped())
            taking.add_done_callback(lambda _task: self.stop())
            try:
                await self._stopped.wait()
                await self._end_within_grace(taking)
            finally:
                await self._cancel(taking)
                await self._bell.close()
            if not taking.cancelled():
                taking.result()  # None, but for a mistake in here

    def stop(self) -> None:
        """Have ``run`` end as it says there. Only on its event loop; again does nothing."""
        self._stopped.set()
        self._wake.set()

    # Taking

    async def _take_until_stopped(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()  # what happens from here on is another round's
            seconds = await self._round()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    async def _round(self) -> float:
        """Take what is due; for how many seconds there is nothing more to do."""
        try:
            await self._bell.listen()
            began = self._engine.clock()
            await self._take_sagas()
            await self._take_events()
            self._publish()
            seconds = await self._seconds_from(began)
        except Exception as error:  # the database's; what was not taken is due in the next round
            self.stats.failures += 1
            self._outage.began(error)
            return self._outage.pause()
        self._outage.ended()
        return seconds

    async def _take_sagas(self) -> None:
        views, count = await self._engine.take_due(self._free())
        self.stats.taken += count
        for view in views:
            self._start(view)

    async def _take_events(self) -> None:
        if self._inbox is None or self._free() < 1 or self._stopped.is_set():
            return
        async with aclosing(self._inbox.take(self._limit)) as delivered:
            async for views in delivered:
                self.stats.delivered += 1
                for view in views:
                    self._start(view)
                if self._free() < 1:
                    break

    async def _seconds_from(self, began: datetime) -> float:
        """How long to sleep; what was due when the round began is locked, or beyond the limit."""
        if self._free() < 1:
            return self._poll.total_seconds()
        due = await self._engine.next_deadline(began, began + self._poll)
        now = self._engine.clock()
        until = self._poll if due is None else min(self._poll, due - now)
        return max(0.0, until.total_seconds())

    def _free(self) -> int:
        """How many sagas may be taken."""
        return self._limit - len(self._driving)

    # Driving

    def _start(self, saga: SagaSnapshot) -> None:
        task = asyncio.create_task(self._drive(saga))
        self._driving.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._driving.discard(task)
        self._wake.set()  # there is room for another, and this one may be due again soon

    async def _drive(self, saga: SagaSnapshot) -> None:
        try:
            await self._drive_on(saga)
        except Exception as error:  # the database's, or ours; the lease has others try again
            self.stats.failures += 1
            if isinstance(error, (SQLAlchemyError, OSError)):
                self._outage.began(error)
            else:
                _log.exception("saga %s could not be driven; it is taken up later", saga.id)

    async def _drive_on(self, saga: SagaSnapshot) -> None:
        views: Views = (saga,)
        async with self._engine.kept() as kept:
            while views and not self._stopped.is_set():
                saga, *beside = views
                for view in beside:
                    self._start(view)
                views = await self._engine.advance(saga, kept)
        for view in views:
            await self._engine.hand_over(view)
            self.stats.handed_over += 1

    # Publishing

    def _publish(self) -> None:
        """Have the outbox published, beside the sagas; again if that is going on already."""
        self._publish_again = True
        if self._dispatcher is not None and not self._publishing:
            task = asyncio.create_task(self._publish_with(self._dispatcher))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def _publish_with(self, dispatcher: OutboxDispatcher) -> None:
        try:
            while self._publish_again and not self._stopped.is_set():
                self._publish_again = False
                sent = await dispatcher.run_due(self._limit)
                self.stats.sent += sent
                self._publish_again |= sent == self._limit
                self._outage_of_outbox.ended()
        except Exception as error:  # the database's; the next round tries again
            self.stats.failures += 1
            self._outage_of_outbox.began(error)

    # Stopping

    async def _end_within_grace(self, taking: asyncio.Task[None]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace.total_seconds()):
                await asyncio.wait({taking})  # it may start more, which are handed over
                while in_flight := self._driving | self._publishing:
                    await asyncio.wait(in_flight)

    async def _cancel(self, taking: asyncio.Task[None]) -> None:
        self.stop()  # a statement in flight is let end: what it claimed would wait for its lease
        if not (await asyncio.wait({taking}, timeout=LONGEST_ROUND))[0]:
            taking.cancel()
            await asyncio.wait({taking})
        late = self._driving | self._publishing
        if not late:
            return
        _log.warning("the worker stops, so %d in flight are cancelled; others take over", len(late))
        for task in late:
            task.cancel()
        await asyncio.wait(late)


class _Outage:
    """Whether the database is away: says so once, and how long to wait before the next try."""

    def __init__(self, poll: float) -> None:
        self._poll = self._pause = poll
        self._lasts = False

    def began(self, error: Exception) -> None:
        """Note a failure."""
        if not self._lasts:
            self._lasts = True
            _log.warning("the database does not answer; it is asked again and again: %r", error)

    def pause(self) -> float:
        """How many seconds to wait this time."""
        seconds, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return seconds

    def ended(self) -> None:
        """Note that it answers."""
        if self._lasts:
            _log.warning("the database answers again")
        self._lasts, self._pause = False, self._poll


@contextmanager
def _signals_call(stop: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call ``stop``; afterwards they do what they did before."""
    loop = asyncio.get_running_loop()
    chosen = (signal.SIGTERM, signal.SIGINT)
    before = {each: signal.getsignal(each) for each in chosen}
    for each in chosen:
        loop.add_signal_handler(each, stop)
    try:
        yield
    finally:
        for each in chosen:
            loop.remove_signal_handler(each)
            if before[each] is not None:  # None: not set from Python, so it cannot be put back
                signal.signal(each, before[each])


def _check_limit(given: object) -> None:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise SagaDefinitionError(f"limit must be a whole number from 1, not {given!r}")
