"""A client of either protocol era reads and follows the runs of another process."""

import asyncio
import os
import sys
import warnings
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import MCPError, StdioServerParameters
from mcp_clients import ACTIVE, PATIENCE, both_eras, connected, following, over_http, read

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
async def listening(gate, capturing="captured"):
    """The address of a process that serves over HTTP."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SERVED), str(gate), capturing, "http"), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def client_of(gate, mode, capturing="captured", transport="stdio"):
    if transport == "stdio":
        arguments = [str(SERVED), str(gate), capturing]
        server = StdioServerParameters(command=sys.executable, args=arguments)
        async with connected(server, mode) as client:
            yield client
        return
    async with (
        listening(gate, capturing) as url,
        over_http(url, "secret") as server,
        connected(server, mode) as client,
    ):
        yield client


async def followed(client, gate=None):
    """Follow the active pipeline to its end, which comes once the gate has been opened."""
    async with following(client, ACTIVE) as heard:
        shown = await read(client, ACTIVE)
        assert (shown["pipeline"], shown["status"]) == ("build", "running")
        if gate is not None:
            await asyncio.to_thread(open_gate, gate)
        while shown["status"] != "completed":
            assert await heard() == ACTIVE
            shown = await read(client, ACTIVE)
    return shown


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("capturing", ["captured", "printed"])
@both_eras
def test_a_client_follows_a_run_to_its_end(gate, mode, capturing, transport):
    """It is told of changes, the last of which leads to the state at the end."""

    async def scenario():
        async with client_of(gate, mode, capturing, transport) as client:
            shown = await followed(client, gate)
            assert [phase["status"] for phase in shown["phases"]] == ["completed"] * 2
            listed = [str(each.uri) for each in (await client.list_resources()).resources]
            assert listed == [ACTIVE, "milo://pipeline/run-1/timeline"]
            own = await read(client, listed[1])
            logs = await read(client, own["phases"][1]["logs"])
            lines = [("{chatter}", "stdout"), ("trouble", "stderr")]
            kept = [(each["line"], each["stream"]) for each in logs["lines"]]
            assert kept == (lines if capturing == "captured" else [])

    asyncio.run(scenario())


def test_two_clients_follow_at_once(gate):
    """One of each era, over HTTP; both hear of the end, and one that has gone is no hindrance."""

    async def vanish(url):
        async with over_http(url, "secret") as server, connected(server, "auto") as client:
            await followed(client)

    async def scenario():
        async with (
            listening(gate) as url,
            over_http(url, "secret") as one,
            over_http(url, "secret") as two,
            connected(one, "auto") as modern,
            connected(two, "legacy") as legacy,
        ):
            gone = asyncio.create_task(vanish(url))
            waiting = asyncio.create_task(followed(modern))
            await read(legacy, ACTIVE)
            gone.cancel()
            ends = [await followed(legacy, gate), await waiting]
            assert [end["status"] for end in ends] == ["completed", "completed"]

    asyncio.run(scenario())


def test_serving_ends_when_the_client_has_vanished():
    """On stdio: nobody is left who could ask for anything."""
    program = "import asyncio, milo_mcp; asyncio.run(milo_mcp.TimelineServer().serve_stdio())"

    async def scenario():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}\n')
        assert b'"id":1' in await process.stdout.readline()
        process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0

    asyncio.run(scenario())


@both_eras
def test_nothing_is_told_after_unsubscribing(gate, mode):
    """Of two subscriptions, the one that was taken back is silent when both change."""
    uri = "milo://pipeline/run-1/timeline"

    async def scenario():
        async with client_of(gate, mode) as client:
            async with following(client, ACTIVE) as heard:
                if mode == "legacy":
                    with warnings.catch_warnings(action="ignore"):
                        await client.unsubscribe_resource(ACTIVE)
            async with following(client, uri) as heard:
                await asyncio.to_thread(open_gate, gate)
                while (await read(client, uri))["status"] != "completed":
                    assert await heard() == uri
            told = [client.heard.get_nowait() for _ in range(client.heard.qsize())]
            assert ACTIVE not in told

    asyncio.run(scenario())


BAD = [
    ("milo://pipeline/run-9/timeline", "there is no run 'run-9'"),
    ("milo://pipeline/run-1/phases/deploy/logs", "has no phase 'deploy'"),
    ("milo://pipeline/run-1/phases/wait/logs?cursor=-1", "is no line number"),
    ("milo://pipeline/run-1/phases/wait/logs?cursor=" + "9" * 40, "is no line number"),
    ("milo://pipeline/run-1/phases/wait/logs?cursor=7", "is beyond the 0 lines"),
    ("milo://pipeline/" + "x" * 5000 + "/timeline", "is no resource of this server"),
    ("milo://elsewhere", "is no resource of this server"),
]


@both_eras
def test_what_is_not_there_is_the_protocols_error(gate, mode):
    """It says what was given and what there is, and the server goes on."""

    async def scenario():
        async with client_of(gate, mode) as client:
            for uri, says in BAD:
                with pytest.raises(MCPError, match=says):
                    await client.read_resource(uri)
            for uri in ("milo://elsewhere", ""):
                with pytest.raises(MCPError, match="is no resource of this server"):
                    async with following(client, uri):
                        pass
            assert (await read(client, "milo://pipeline/run-1/timeline"))["run"] == "run-1"

    asyncio.run(scenario())
