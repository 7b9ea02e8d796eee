"""A client of either protocol era reads and follows the runs of another process."""

import asyncio
import json
import os
import sys
import warnings
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourceUpdated

PATIENCE = 30
ACTIVE = "milo://pipeline/timeline"
SERVED = Path(__file__).with_name("served.py")


@pytest.fixture
def gate(tmp_path):
    """The path of a FIFO that a phase waits for."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def open_gate(gate):
    with open(gate, "w"):
        pass


@asynccontextmanager
async def following(client, *uris):
    """In the block, ``await heard()`` returns the next address that has changed."""
    if client.mode == "legacy":
        for uri in uris:
            with warnings.catch_warnings(action="ignore"):
                await client.subscribe_resource(uri)
        yield client.heard.get
        return
    async with client.listen(resource_subscriptions=uris) as stream:

        async def heard():
            event = await anext(stream)
            assert isinstance(event, ResourceUpdated)
            return event.uri

        yield heard


@asynccontextmanager
async def reachable(gate, capturing, transport):
    """What a client of the process connects to."""
    arguments = [str(SERVED), str(gate), capturing]
    if transport == "stdio":
        yield StdioServerParameters(command=sys.executable, args=arguments)
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, "http", stdout=asyncio.subprocess.PIPE
    )
    try:
        url = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(headers={"Authorization": "Bearer secret"}) as http:
            yield streamable_http_client(url, http_client=http)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def connected(gate, mode, capturing="captured", transport="stdio"):
    heard = asyncio.Queue()

    async def keep(message):
        uri = getattr(getattr(message, "params", None), "uri", None)
        if uri is not None:
            heard.put_nowait(str(uri))

    async with (
        asyncio.timeout(PATIENCE),
        reachable(gate, capturing, transport) as server,
        Client(server, mode=mode, message_handler=keep, cache=None) as client,
    ):
        client.heard = heard
        yield client


async def read(client, uri):
    (content,) = (await client.read_resource(uri)).contents
    assert content.mime_type == "application/json"
    return json.loads(content.text)


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("capturing", ["captured", "printed"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_follows_a_run_to_its_end(gate, mode, capturing, transport):
    """It is told of changes, the last of which leads to the state at the end."""

    async def scenario():
        async with connected(gate, mode, capturing, transport) as client:
            async with following(client, ACTIVE) as heard:
                shown = await read(client, ACTIVE)
                assert (shown["pipeline"], shown["status"]) == ("build", "running")
                await asyncio.to_thread(open_gate, gate)
                while shown["status"] != "completed":
                    assert await heard() == ACTIVE
                    shown = await read(client, ACTIVE)
                assert [phase["status"] for phase in shown["phases"]] == ["completed"] * 2
            listed = [str(each.uri) for each in (await client.list_resources()).resources]
            assert listed == [ACTIVE, "milo://pipeline/run-1/timeline"]
            own = await read(client, listed[1])
            logs = await read(client, own["phases"][1]["logs"])
            lines = [("{chatter}", "stdout"), ("trouble", "stderr")]
            kept = [(each["line"], each["stream"]) for each in logs["lines"]]
            assert kept == (lines if capturing == "captured" else [])

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("milo://pipeline/run-9/timeline", "there is no run 'run-9'"),
        ("milo://pipeline/run-1/phases/deploy/logs", "has no phase 'deploy'"),
        ("milo://pipeline/run-1/phases/wait/logs?cursor=-1", "is no line number"),
        ("milo://pipeline/run-1/phases/wait/logs?cursor=" + "9" * 40, "is no line number"),
        ("milo://pipeline/run-1/phases/wait/logs?cursor=7", "is beyond the 0 lines"),
        ("milo://elsewhere", "is no resource of this server"),
    ],
)
def test_what_is_not_there_is_the_protocols_error(gate, mode, uri, says):
    """It says what was given and what there is, and the server goes on."""

    async def scenario():
        async with connected(gate, mode) as client:
            with pytest.raises(MCPError, match=says):
                await client.read_resource(uri)
            assert (await read(client, "milo://pipeline/run-1/timeline"))["run"] == "run-1"

    asyncio.run(scenario())
