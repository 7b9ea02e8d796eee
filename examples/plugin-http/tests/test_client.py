"""One client for each event loop, for as long as the loop lives."""

import asyncio

from milo_example_http import Http
from milo_example_http._client import client_of_this_loop


def test_requests_of_a_store_share_a_connection(server, run):
    """One request after the other travels over one connection."""

    def saga():
        for _ in range(3):
            yield Http("GET", server.url("/echo"))

    run(saga())
    run(saga())
    assert (len(server.received), server.connections) == (6, 1)


def test_idle_connections_end_with_the_store(server, store, run):
    """After ``shutdown`` the connections that were kept for later are closed."""

    def saga():
        yield Http("GET", server.url("/echo"))

    run(saga())
    store.shutdown()
    assert server.all_closed()


def test_a_later_loop_on_the_same_thread_gets_a_client_of_its_own():
    """Coroutines of one loop share a client; the next loop's is new, and the old one is closed."""

    async def two():
        return await asyncio.gather(client_of_this_loop(), client_of_this_loop())

    first, same = asyncio.run(two())
    second, _ = asyncio.run(two())
    assert first is same is not second
    assert first.is_closed and second.is_closed
