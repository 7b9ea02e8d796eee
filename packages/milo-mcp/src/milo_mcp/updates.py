"""From a change on any thread to each subscriber, as few notifications as it can take.

A change marks addresses as changed, on the thread that makes it, and wakes the event loop if it
is not awake yet. There, each subscriber has a set of addresses that it is still to be told of,
which no number of changes makes longer than what it has subscribed to. One task for each sends
them, as quickly as its client takes them, and then pauses for ``INTERVAL``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from threading import Lock
from typing import Final, TypeAlias

from milo_mcp.runs import Change, RunBook
from milo_mcp.uris import ACTIVE, logs_uri, timeline_uri
from milo_pipeline.timeline import on_active_pipeline

INTERVAL: Final = 0.02
"""Seconds that a client has at least between two notifications of one resource."""

LIST: Final = ""
"""Stands among addresses for: which resources there are."""

Send: TypeAlias = Callable[[str], Awaitable[None]]


class Subscriber:
    """One client's subscription. All of it belongs to the event loop."""

    def __init__(self, send: Send) -> None:
        self.uris: set[str] = set()
        self._send = send
        self._pending: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._is_ending = False

    def offer(self, changed: Iterable[str]) -> None:
        """Of these, what is subscribed to is to be told."""
        told = [uri for uri in changed if uri in self.uris]
        if told:
            self._pending.update(dict.fromkeys(told))
            self._wake.set()

    def end(self) -> None:
        """Have ``send_updates`` return once it has told everything."""
        self._is_ending = True
        self._wake.set()

    async def send_updates(self) -> None:
        """Tell what is to be told, until the end."""
        while not self._is_ending:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                uri = next(iter(self._pending))
                del self._pending[uri]  # before it is sent: what changes from now on is told again
                await self._send(uri)
            if not self._is_ending:
                await asyncio.sleep(INTERVAL)


class Updates:
    """Who has subscribed to what, and what has changed. Of one event loop."""

    def __init__(self, book: RunBook) -> None:
        self._book = book
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribers: dict[Subscriber, None] = {}
        self._left = asyncio.Event()
        self._stops: list[Callable[[], None]] = []
        self._lock = Lock()  # guards the two below
        self._changed: set[str] = set()
        self._is_woken = False

    def open(self) -> None:
        """Watch from now on; called on the event loop.

        Raises:
            RuntimeError: it does so already.
        """
        if self._stops:
            raise RuntimeError("it is being served already; make another TimelineServer")
        self._loop = asyncio.get_running_loop()
        self._stops = [
            self._book.watch(self._hear),
            on_active_pipeline(lambda: self._mark(ACTIVE)),
        ]

    def close(self) -> None:
        """Watch no longer."""
        for stop in self._stops:
            stop()
        self._stops = []

    def join(self, subscriber: Subscriber) -> None:
        """Tell ``subscriber`` from now on."""
        self._subscribers[subscriber] = None

    def leave(self, subscriber: Subscriber) -> None:
        """Tell it no longer; again is harmless."""
        self._subscribers.pop(subscriber, None)
        self._notice_leaving()

    def unfollow(self, subscriber: Subscriber, uri: str) -> None:
        """Tell it of ``uri`` no longer; again is harmless."""
        subscriber.uris.discard(uri)
        self._notice_leaving()

    async def end(self, patience: float) -> None:
        """Tell everybody the rest.

        Returns when all have left who follow a resource, or after ``patience`` seconds.
        """
        if self._is_followed():
            self._left.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), patience)
        for subscriber in self._subscribers:
            subscriber.end()

    def _notice_leaving(self) -> None:
        if not self._is_followed():
            self._left.set()

    def _is_followed(self) -> bool:
        return any(each.uris - {LIST} for each in self._subscribers)

    def _hear(self, change: Change) -> None:
        if not change.run_id:
            self._mark(LIST)
        elif change.logs_of:
            self._mark(ACTIVE, timeline_uri(change.run_id), logs_uri(change.run_id, change.logs_of))
        else:
            self._mark(ACTIVE, timeline_uri(change.run_id))

    def _mark(self, *uris: str) -> None:
        """On whichever thread has changed something."""
        if not self._subscribers:
            return
        with self._lock:
            self._changed.update(uris)
            if self._is_woken:
                return
            self._is_woken = True
        with suppress(RuntimeError):  # the loop has been closed; nobody is there to be told
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._offer)

    def _offer(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
            self._is_woken = False
        for subscriber in self._subscribers:
            subscriber.offer(changed)
