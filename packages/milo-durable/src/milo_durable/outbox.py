"""The dispatcher: publishes what steps have put into the outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from milo_durable import _work
from milo_durable._outbox import OutgoingMessage
from milo_durable._purge import Purge
from milo_durable.definition import check_span
from milo_durable.errors import SagaDefinitionError
from milo_durable.orchestrator import SagaOrchestrator
from milo_durable.retry import ExponentialRetry

_log = logging.getLogger(__name__)

Publish = Callable[[OutgoingMessage], Awaitable[None] | None]

LEASE = timedelta(minutes=1)
_BACK_OFF = ExponentialRetry(2**31, timedelta(seconds=1), max_delay=timedelta(minutes=5))


class OutboxDispatcher:
    """Hands messages of the outbox to ``publish``; any number may run on one table.

    Each message is published at least once: again if ``publish`` raised or took too long, and
    if a dispatcher died between publishing and noting it. Receivers tell by ``message.id``.
    Messages of one key are published in their order as long as none fails and one dispatcher
    runs; those of different keys at the same time.

        async def publish(message: OutgoingMessage) -> None:
            await broker.send(message.event_type, message.event, key=message.key)

        dispatcher = OutboxDispatcher(orchestrator, publish)
        await dispatcher.run_due()

    Args:
        orchestrator: one with an ``outbox_model_class``.
        publish: async, or a plain function, which runs on a thread.
        lease: how long what ``run_due`` has claimed may take; afterwards others claim it.

    Raises:
        SagaDefinitionError: the orchestrator has no outbox, or an argument cannot be meant.
    """

    def __init__(
        self,
        orchestrator: SagaOrchestrator[Any],
        publish: Publish,
        *,
        lease: timedelta = LEASE,
    ) -> None:
        if orchestrator.engine.outbox is None:
            raise SagaDefinitionError(
                "this orchestrator has no outbox; give it outbox_model_class=, a model with "
                "OutboxMessageMixin"
            )
        if not callable(publish):
            raise SagaDefinitionError(f"publish must be a function, not {publish!r:.200}")
        check_span("lease", lease)
        self._engine = orchestrator.engine
        self._table = orchestrator.engine.outbox
        self._publish = publish
        self._lease = lease
        sent_at = self._table.table.c.sent_at
        self._purge = Purge(self._engine.database, "outbox.purge", self._table.table, sent_at)

    async def run_due(self, limit: int = 100) -> int:
        """Publish up to ``limit`` messages, oldest first; how many were sent.

        One that could not be is noted, with its error, and due again after a second, then two,
        up to five minutes; it is never given up.
        """
        if limit < 1:
            return 0
        ends = asyncio.get_running_loop().time() + self._lease.total_seconds()
        now = self._engine.clock()
        async with self._engine.database.statement("outbox.claim") as connection:
            claimed = await self._table.claim(connection, now, now + self._lease, limit)
        by_key: dict[str, list[OutgoingMessage]] = {}
        for message in claimed:
            by_key.setdefault(message.key, []).append(message)
        sending = [self._send_in_order(messages, ends) for messages in by_key.values()]
        results = await asyncio.gather(*sending, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):  # the database's: sent perhaps, and not noted
                raise result
        return sum(result for result in results if isinstance(result, int))

    async def purge(self, older_than: timedelta) -> int:
        """Delete messages that were published ``older_than`` ago or before; how many.

        Those that are not published yet stay, however old. Rows are deleted in batches, each a
        commit of its own. The newest message stays, so that no id is given twice.

        Raises:
            SagaDefinitionError: ``older_than`` is no length of time above 0.
        """
        return await self._purge.run(older_than, self._engine.clock)

    async def _send_in_order(self, messages: Sequence[OutgoingMessage], ends: float) -> int:
        sent = 0
        for message in messages:
            seconds = ends - asyncio.get_running_loop().time()
            if seconds <= 0:
                break  # others may have claimed them by now
            sent += await self._send(message, seconds)
        return sent

    async def _send(self, message: OutgoingMessage, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await _work.called(self._publish, (message,))
        except Exception as error:  # the publisher's; it is noted in the row
            await self._put_off(message, error)
            return False
        async with self._engine.database.statement("outbox.sent") as connection:
            await self._table.sent(connection, message, self._engine.clock())
        return True

    async def _put_off(self, message: OutgoingMessage, error: Exception) -> None:
        _log.warning(
            "message %d could not be published, at attempt %d: %r",
            message.id,
            message.attempt,
            error,
            extra={"milo_saga_id": str(message.saga_id)},
        )
        delay = _BACK_OFF.next_delay(message.attempt) or _BACK_OFF.max_delay
        until = self._engine.clock() + delay
        async with self._engine.database.statement("outbox.retry") as connection:
            await self._table.failed(connection, message, _work.told(error), until)
