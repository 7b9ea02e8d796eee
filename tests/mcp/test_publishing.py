"""That milo-mcp is installed is enough for runs and states to be published, and costs little."""

import asyncio
import subprocess
import sys
import threading

import pytest
from mcp_clients import ACTIVE, LIST, PATIENCE, both_eras, connected, following, read

from milo_mcp import TimelineServer
from milo_mcp.publishing import observer
from milo_mcp.runs import RUNS
from milo_pipeline import Phase, Pipeline, set_active_pipeline
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState


@pytest.fixture(autouse=True)
def nothing_is_active():
    set_active_pipeline(None)  # whatever other tests in this process have run
    yield
    set_active_pipeline(None)


@both_eras
def test_a_state_that_is_set_by_hand_is_told(mode):
    """``set_active_pipeline`` reaches clients from any thread, without any run."""

    async def scenario():
        async with connected(TimelineServer().server, mode) as client:
            assert await read(client, ACTIVE) == {
                "pipeline": None,
                "status": "none",
                "elapsed": 0.0,
                "progress": 0.0,
                "phases": [],
            }
            async with following(client, ACTIVE) as heard:
                for status in ("running", "completed"):
                    state = PipelineState("by hand", (PhaseStatus("a", status),), status=status)
                    await asyncio.to_thread(set_active_pipeline, state)
                    assert await heard() == ACTIVE
                    shown = await read(client, ACTIVE)
                    assert (shown["pipeline"], shown["status"]) == ("by hand", status)
                    assert shown["phases"][0]["status"] == status
                await asyncio.to_thread(set_active_pipeline, None)
                assert await heard() == ACTIVE
                assert (await read(client, ACTIVE))["status"] == "none"

    asyncio.run(scenario())


@both_eras
def test_new_runs_are_told(mode):
    """Each is a resource more, and the client hears that the list is another."""

    async def scenario():
        async with connected(TimelineServer().server, mode) as client:
            before = {str(each.uri) for each in (await client.list_resources()).resources}
            async with following(client, LIST) as heard:
                await asyncio.to_thread(Pipeline("new", Phase("a", lambda: None)).run)
                assert await heard() == LIST
            after = {str(each.uri) for each in (await client.list_resources()).resources}
            (new,) = after - before
            assert (await read(client, new))["pipeline"] == "new"

    asyncio.run(scenario())


@both_eras
def test_at_the_end_clients_hear_and_read_the_last_state(mode):
    """``finish`` tells what is still to be told, and returns once they have left."""

    async def follow(server, begun):
        async with connected(server.server, mode) as client, following(client, ACTIVE) as heard:
            begun.set()
            while (await read(client, ACTIVE))["status"] != "completed":
                assert await heard() == ACTIVE

    async def scenario():
        server, begun = TimelineServer(), asyncio.Event()
        client = asyncio.create_task(follow(server, begun))
        await begun.wait()
        await asyncio.to_thread(Pipeline("last", Phase("a", lambda: None)).run)
        async with asyncio.timeout(PATIENCE):
            await server.finish(10 * PATIENCE)
            await client
            await server.finish(10 * PATIENCE)  # nobody is there to wait for

    asyncio.run(scenario())


def test_a_stream_ends_with_the_server():
    """A client that stays longer than it is waited for is told that there is nothing more."""

    async def scenario():
        server = TimelineServer()
        async with (
            connected(server.server, "auto") as client,
            client.listen(resource_subscriptions=[ACTIVE]) as stream,
        ):
            await server.finish(0)
            assert [event async for event in stream] == []

    asyncio.run(scenario())


def test_a_run_that_nobody_could_see_is_not_written_down():
    """Without a server there is no observer, so nothing is paid and nothing kept."""
    known = list(RUNS)
    pipeline = Pipeline("unseen", Phase("a", lambda: None))
    assert observer(pipeline) is None
    pipeline.run()
    assert list(RUNS) == known


def test_running_a_pipeline_does_not_import_mcp():
    """Nor does importing this package: only a server needs it."""
    program = (
        "import milo_mcp, milo_pipeline, sys\n"
        "pipeline = milo_pipeline.Pipeline('p', milo_pipeline.Phase('a', lambda: None))\n"
        "assert pipeline.run().ok\n"
        "assert 'milo_mcp.publishing' in sys.modules\n"
        "assert not {'mcp', 'mcp_types', 'pydantic', 'uvicorn'} & set(sys.modules)\n"
        "milo_mcp.TimelineServer\n"
        "assert 'mcp' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_one_server_has_one_transport():
    """Serving it twice at once is refused; one after the other is not."""

    async def scenario():
        server = TimelineServer()
        async with server._lifespan(server.server):
            with pytest.raises(RuntimeError, match="served already; make another TimelineServer"):
                async with server._lifespan(server.server):
                    pass
        async with server._lifespan(server.server):
            pass

    asyncio.run(scenario())


@both_eras
def test_every_transition_is_told(mode):
    """Each phase that begins or ends is followed by a notification, and then read."""
    gates = [threading.Event() for _ in range(6)]
    phases = [
        Phase(f"p{n}", lambda gate=gate: gate.wait(PATIENCE), depends_on=(f"p{n - 1}",) * (n > 0))
        for n, gate in enumerate(gates)
    ]

    async def scenario():
        async with (
            connected(TimelineServer().server, mode) as client,
            following(client, ACTIVE) as heard,
        ):
            running = asyncio.create_task(asyncio.to_thread(Pipeline("told", *phases).run))
            for number, gate in enumerate(gates):
                shown = {"phases": []}
                while [each["status"] for each in shown["phases"]].count("completed") < number:
                    assert await heard() == ACTIVE
                    shown = await read(client, ACTIVE)
                gate.set()
            while (await read(client, ACTIVE))["status"] != "completed":
                assert await heard() == ACTIVE
            await running

    asyncio.run(scenario())
