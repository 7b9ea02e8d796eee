"""A client runs, cancels and re-runs pipelines, if the server was told to let it."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest
from mcp import Client, MCPError
from mcp_clients import ACTIVE, PATIENCE, both_eras, call, refused

from milo_mcp import PipelineControls, TimelineServer
from milo_pipeline import Param, Phase, Pipeline


@asynccontextmanager
async def serving(mode, *pipelines, allow_run=True):
    """A client of a server of ``pipelines``; they have ended when the block has."""
    controls = PipelineControls(*pipelines)
    server = TimelineServer(controls=controls if allow_run else None)
    try:
        async with (
            asyncio.timeout(PATIENCE),
            Client(server.server, mode=mode, cache=None) as client,
        ):
            yield client
    finally:
        controls.close()


@both_eras
def test_a_pipeline_is_run_and_answered_at_once(mode):
    """The answer comes while it runs, with the id under which its timeline is read."""
    gate = threading.Event()
    pipeline = Pipeline("build", Phase("wait", lambda: gate.wait(PATIENCE)))

    async def scenario():
        async with serving(mode, pipeline) as client:
            answer = await call(client, "run_pipeline")
            assert answer["status"] == "running"
            gate.set()
            (content,) = (await client.read_resource(answer["timeline"])).contents
            assert f'"run": "{answer["run"]}"' in content.text

    asyncio.run(scenario())


@both_eras
def test_waiting_reports_progress(mode):
    """With ``wait`` the answer comes at the end, after reports of which the last is of the end."""
    phases = [Phase(f"p{n}", lambda: None, depends_on=(f"p{n - 1}",) * (n > 0)) for n in range(4)]
    reports = []

    async def progress(done, total, message):
        reports.append((done, total))

    async def scenario():
        async with serving(mode, Pipeline("build", *phases)) as client:
            answer = await call(client, "run_pipeline", wait=True, progress=progress)
            assert answer["status"] == "completed"

    asyncio.run(scenario())
    assert reports[-1] == (1.0, 1.0)
    assert reports == sorted(reports)


@both_eras
def test_a_run_is_cancelled(mode):
    """A second time it is no longer running."""
    started = threading.Event()

    async def lasting():
        started.set()
        await asyncio.Event().wait()

    async def scenario():
        async with serving(mode, Pipeline("build", Phase("last", lasting))) as client:
            answer = await call(client, "run_pipeline")
            await asyncio.to_thread(started.wait, PATIENCE)
            cancelled = await call(client, "cancel_pipeline", run=answer["run"])
            assert cancelled == {"run": answer["run"], "was_running": True}

    asyncio.run(scenario())


@both_eras
def test_a_failed_phase_runs_again(mode):
    """What was completed keeps its result; what waits for the phase runs behind it."""
    calls = []

    def flaky():
        calls.append("flaky")
        if len(calls) == 2:
            print("\x1b[31mtrying\x1b[0m")
            raise RuntimeError("not yet")

    pipeline = Pipeline(
        "build",
        Phase("first", lambda: calls.append("first")),
        Phase("flaky", flaky, depends_on=("first",)),
        Phase("last", lambda: calls.append("last"), depends_on=("flaky",)),
        capture_output=True,
    )

    async def scenario():
        async with serving(mode, pipeline) as client:
            failed = await call(client, "run_pipeline", wait=True)
            assert failed["status"] == "failed"
            (failure,) = failed["failed"]
            assert failure == {
                "phase": "flaky",
                "error": "not yet",
                "logs": f"milo://pipeline/{failed['run']}/phases/flaky/logs",
                "last_lines": ["trying"],
            }
            says = await refused(client, "rerun_phase", run=failed["run"], phase="first")
            assert "is completed; failed are: flaky" in says
            again = await call(client, "rerun_phase", run=failed["run"], phase="flaky", wait=True)
            assert again["status"] == "completed"
            assert again["run"] != failed["run"]

    asyncio.run(scenario())
    assert calls == ["first", "flaky", "flaky", "last"]


@both_eras
def test_the_tools_say_what_they_take(mode):
    """Their arguments have types, and what there is to run is listed."""
    pipelines = [
        Pipeline("build", Phase("a", lambda: None)),
        Pipeline(
            "deploy",
            Phase("b", lambda: None),
            params=(
                Param("to", choices=("here", "there")),
                Param("dry", bool, default=False),
            ),
        ),
    ]

    async def scenario():
        async with serving(mode, *pipelines) as client:
            listed = {each.name: each for each in (await client.list_tools()).tools}
            assert set(listed) == {
                "list_pipelines",
                "run_pipeline",
                "cancel_pipeline",
                "rerun_phase",
            }
            wanted = listed["rerun_phase"].input_schema
            assert wanted["required"] == ["run", "phase"]
            assert wanted["properties"]["phase"]["type"] == "string"
            there = await call(client, "list_pipelines")
            to = {"name": "to", "type": "string", "required": True, "choices": ["here", "there"]}
            dry = {"name": "dry", "type": "boolean", "required": False, "default": False}
            assert there["pipelines"][1] == {
                "name": "deploy",
                "phases": ["b"],
                "params": [to, dry],
            }

    asyncio.run(scenario())


BAD = [
    ("run_pipeline", {}, "say which pipeline to run; there are: build, deploy"),
    ("run_pipeline", {"pipeline": "test"}, "there is no pipeline 'test'"),
    ("run_pipeline", {"pipeline": 3}, "pipeline: Input should be a valid string"),
    ("run_pipeline", {"pipelines": "build"}, "Extra inputs are not permitted"),
    ("run_pipeline", {"pipeline": "deploy"}, "'to'"),
    ("cancel_pipeline", {}, "run: Field required"),
    ("cancel_pipeline", {"run": "run-0"}, "was not started by this server"),
    ("rerun_phase", {"run": "run-0", "phase": "a"}, "was not started by this server"),
]


@both_eras
@pytest.mark.parametrize(("tool", "arguments", "says"), BAD)
def test_bad_arguments_are_told(mode, tool, arguments, says):
    """As an error that the model can read; the server goes on."""
    pipelines = [
        Pipeline("build", Phase("a", lambda: None)),
        Pipeline("deploy", Phase("b", lambda to: None, params=("to",)), params=(Param("to", str),)),
    ]

    async def scenario():
        async with serving(mode, *pipelines) as client:
            assert says in await refused(client, tool, **arguments)
            assert (await call(client, "run_pipeline", pipeline="build", wait=True))["run"]

    asyncio.run(scenario())


@both_eras
def test_there_are_no_tools_unless_allowed(mode):
    """A call is the protocol's own error."""

    async def scenario():
        async with serving(mode, Pipeline("build"), allow_run=False) as client:
            with pytest.raises(MCPError, match=r"[Mm]ethod not found"):
                await client.call_tool("run_pipeline", {})
            await client.read_resource(ACTIVE)

    asyncio.run(scenario())
