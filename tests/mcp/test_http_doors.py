"""Who gets in over HTTP: those with the token, by a name of this machine."""

import asyncio
import threading
from contextlib import contextmanager

import httpx2 as httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from milo_mcp import TimelineServer

PATIENCE = 30
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}
TAKES = {"Accept": "application/json, text/event-stream"}


@contextmanager
def listening(**options):
    """A server on a thread; its address."""
    listener = TimelineServer().listen_on(**options)
    thread = threading.Thread(target=lambda: asyncio.run(listener.serve()))
    thread.start()
    try:
        yield listener.url
    finally:
        listener.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def greeted(url, **headers):
    """The status of the answer to a handshake."""
    return httpx.post(url, json=HELLO, headers={**TAKES, **headers}, timeout=PATIENCE)


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}]
)
def test_without_the_token_nobody_gets_in(given):
    """The answer says which header is missing, and names the scheme as HTTP asks for."""
    with listening(token="secret") as url:
        refused = greeted(url, **given)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in refused.text
        assert greeted(url, Authorization="bearer secret").status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)],
)
def test_a_page_of_another_site_does_not_get_in(header, status):
    """A foreign Host or Origin is refused, and the next request is answered."""
    with listening() as url:
        assert greeted(url, **header).status_code == status
        assert greeted(url).status_code == 200


def test_on_all_addresses_the_token_decides():
    """The machine may have any name; without the token nobody gets in by it."""
    with listening(host="0.0.0.0", token="secret") as listens:
        url = listens.replace("0.0.0.0", "127.0.0.1")
        named = {"Host": "build.example:8765", "Origin": "http://build.example:8765"}
        assert greeted(url, **named).status_code == 401
        assert greeted(url, **named, Authorization="Bearer secret").status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"jsonrpc": "2.0"}', b"\xff" * 99])
def test_what_is_no_request_is_refused(body):
    """With a status that says so, and the server goes on."""
    with listening() as url:
        headers = {**TAKES, "Content-Type": "application/json"}
        assert httpx.post(url, content=body, headers=headers, timeout=PATIENCE).status_code == 400
        assert greeted(url).status_code == 200


@pytest.mark.parametrize("token", ["", "with\nline", "schlüssel"])
def test_a_token_must_fit_into_a_header(token):
    """Others are refused before anything listens."""
    with pytest.raises(ValueError, match="token must be ASCII text"):
        TimelineServer().listen_on(token=token)


def test_other_machines_need_a_token():
    """A host that they can reach is refused without one."""
    with pytest.raises(ValueError, match="can be reached from other machines; give a token"):
        TimelineServer().listen_on(host="0.0.0.0")


def test_a_port_that_is_taken_is_an_error():
    """It is told at once, not by a thread that ends."""
    with listening() as url:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with pytest.raises(OSError, match="in use"):
            TimelineServer().listen_on(port)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_that_vanishes_costs_the_others_nothing(mode):
    """One that is gone in the midst of its subscription is no reason to stop."""
    uri = "milo://pipeline/timeline"

    async def vanish(url):
        async with (
            httpx.AsyncClient() as http,
            Client(
                streamable_http_client(url, http_client=http, terminate_on_close=False), mode=mode
            ) as client,
        ):
            if mode == "legacy":
                await client.session.subscribe_resource(uri)
                raise ConnectionError("gone")
            async with client.listen(resource_subscriptions=[uri]):
                raise ConnectionError("gone")

    async def read(url):
        async with Client(url, mode=mode) as client:
            return (await client.read_resource(uri)).contents

    async def scenario(url):
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                with pytest.raises(BaseException):  # noqa: B017, PT011  # a group, perhaps
                    await vanish(url)
                assert await read(url)

    with listening() as url:
        asyncio.run(scenario(url))
