"""Hearing at once that something is due: LISTEN on a PostgreSQL connection of its own.

Elsewhere, and while that connection is lost, nothing is heard; who listens looks again anyway.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from milo_durable._database import Database

_log = logging.getLogger(__name__)

SECONDS_BETWEEN_ATTEMPTS = 5.0


class Bell:
    """Calls ``ring`` whenever a transaction that notified ``channel`` is committed.

    ``ring`` is also called when the connection is lost. Everything is on the event loop.
    """

    def __init__(self, database: Database, channel: str, ring: Callable[[], None]) -> None:
        self._database = database
        self._channel = channel
        self._ring = ring
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._next_attempt = 0.0

    @property
    def hears(self) -> bool:
        """Whether the connection stands."""
        return self._driver is not None

    async def listen(self) -> None:
        """Connect, if that is due and possible; a failure is logged, and tried again later."""
        if self.hears or self._database.engine.dialect.driver != "asyncpg":
            return
        now = asyncio.get_running_loop().time()
        if now < self._next_attempt:
            return
        self._next_attempt = now + SECONDS_BETWEEN_ATTEMPTS
        await self.close()
        try:
            await self._connect()
        except Exception as error:  # the database's; without a bell the worker polls
            await self.close()
            _log.warning("cannot listen on %s, so sagas are polled: %r", self._channel, error)

    async def close(self) -> None:
        """Listen no more."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            try:
                async with asyncio.timeout(SECONDS_BETWEEN_ATTEMPTS):
                    await connection.close()
            except Exception:  # the database's; the connection is of no use to anybody
                _log.debug("a connection that listened did not close", exc_info=True)

    async def _connect(self) -> None:
        connection = self._connection = await self._database.engine.connect()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await connection.run_sync(lambda plain: plain.detach())  # the pool may have another
        await driver.add_listener(self._channel, self._heard)
        driver.add_termination_listener(self._lost)
        self._driver = driver

    def _heard(self, *_told: object) -> None:
        self._ring()

    def _lost(self, driver: object) -> None:
        if driver is self._driver:  # not one that close() has ended
            self._driver = None
            _log.warning("listening on %s was cut off, so sagas are polled", self._channel)
            self._ring()
