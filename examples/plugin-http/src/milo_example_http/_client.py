"""The httpx client: one for each event loop, closed when the loop ends.

A client holds connections, which belong to the loop they were opened on, and making one reads
the certificates, which takes longer than most requests. So sagas of one runtime share one.

Who closes it? A plugin is not told when a runtime shuts down, but an event loop, before it
ends, closes the asynchronous generators that were begun on it (``shutdown_asyncgens``). One
that sleeps at its ``yield`` is therefore a place for cleanup that belongs to the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx


class _Kept(threading.local):
    """What a thread's current event loop has; a loop runs on one thread, so none other looks."""

    loop: asyncio.AbstractEventLoop | None = None
    client: httpx.AsyncClient
    until_loop_ends: AsyncGenerator[None, None]


_kept = _Kept()


async def client_of_this_loop() -> httpx.AsyncClient:
    """The running loop's client, which is made when first asked for."""
    loop = asyncio.get_running_loop()
    if _kept.loop is not loop:
        _kept.loop, _kept.client = loop, _new_client()
        _kept.until_loop_ends = _close_at_end(_kept.client)
        await anext(_kept.until_loop_ends)
    return _kept.client


def _new_client() -> httpx.AsyncClient:
    """A client that remembers nothing of a request, so that no saga's cookies reach another."""
    no_cookies = DefaultCookiePolicy(allowed_domains=[])
    return httpx.AsyncClient(cookies=CookieJar(no_cookies))


async def _close_at_end(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.aclose()
