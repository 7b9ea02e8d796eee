"""The official client, in either protocol era, reading and following."""

import asyncio
import json
import signal
import warnings
from contextlib import asynccontextmanager

import httpx2 as httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated

PATIENCE = 30
"""Seconds that only a hang exceeds."""
ACTIVE = "milo://pipeline/timeline"
LIST = "the list"

both_eras = pytest.mark.parametrize("mode", ["auto", "legacy"])


@asynccontextmanager
async def connected(server, mode):
    """A client of ``server``: parameters of a process, an address, or what the client takes."""
    heard = asyncio.Queue()

    async def keep(message):
        if getattr(message, "method", "") == "notifications/resources/list_changed":
            heard.put_nowait(LIST)
        uri = getattr(getattr(message, "params", None), "uri", None)
        if uri is not None:
            heard.put_nowait(str(uri))

    async with (
        asyncio.timeout(PATIENCE),
        Client(server, mode=mode, message_handler=keep, cache=None) as client,
    ):
        client.heard = heard
        yield client


@asynccontextmanager
async def over_http(url, token=None):
    """What a client connects to that shows ``token``."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers) as http:
        yield streamable_http_client(url, http_client=http)


@asynccontextmanager
async def following(client, *uris):
    """In the block, ``await heard()`` returns the next address that has changed, or ``LIST``."""
    if client.mode == "legacy":
        if LIST in uris:
            await client.list_resources()
        for uri in uris:
            if uri != LIST:
                with warnings.catch_warnings(action="ignore"):
                    await client.subscribe_resource(uri)
        yield client.heard.get
        return
    addresses = [uri for uri in uris if uri != LIST]
    async with client.listen(
        resource_subscriptions=addresses, resources_list_changed=LIST in uris
    ) as stream:

        async def heard():
            event = await anext(stream)
            if isinstance(event, ResourcesListChanged):
                return LIST
            assert isinstance(event, ResourceUpdated)
            return event.uri

        yield heard


def heed_signals():
    """In a new process: in the background of a shell SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def read(client, uri):
    """The JSON of a resource."""
    (content,) = (await client.read_resource(uri)).contents
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def call(client, tool, **options):
    """What a tool answers."""
    progress = options.pop("progress", None)
    answer = await client.call_tool(tool, options, progress_callback=progress)
    assert not answer.is_error, answer.content
    return answer.structured_content


async def refused(client, tool, **arguments):
    """What a tool says of what it cannot do."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    return answer.content[0].text
