"""``milo mcp`` and ``milo run --mcp``: real clients of a real process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from mcp import MCPError, StdioServerParameters
from mcp_clients import (
    ACTIVE,
    PATIENCE,
    both_eras,
    call,
    connected,
    following,
    heed_signals,
    over_http,
    read,
)
from suite_tools import environment

TWO = """
    import os, sys
    from milo import Param, Phase, Pipeline

    print("noise at import")
    os.system("echo noise of a child")
    sys.stdin.read()  # the client's, who would miss it

    def make(context):
        print("{made}")

    def publish(to):
        print(f"to {to}")

    pipeline = Pipeline("site", Phase("make", make), capture_output=True)
    deploy = Pipeline(
        "deploy", Phase("publish", publish, params=("to",)), params=(Param("to", default="here"),)
    )
"""
IMPORTS = "from milo import Phase, Pipeline\n"
ONE = f"{IMPORTS}pipeline = Pipeline('one', Phase('a', id))\n"
GATED = """
    import os
    from milo import Phase, Pipeline

    def wait():
        with open("gate") as gate:
            gate.read()
        print("through")

    pipeline = Pipeline(
        "gated",
        Phase("wait", wait),
        Phase("fail", lambda: 1 / 0, depends_on=("wait",)),
        capture_output=True,
    )
"""

LASTING = """
    import asyncio, sys
    from milo import Phase, Pipeline

    async def last():
        print("it lasts", file=sys.__stderr__, flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print("it was cancelled", file=sys.__stderr__, flush=True)

    pipeline = Pipeline("lasts", Phase("last", last))
"""


def command(*words):
    """The parameters of a client for a server of its own."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-W", "error", "-m", "milo", *map(str, words)],
        env=environment(),
        cwd=os.getcwd(),
    )


@asynccontextmanager
async def process(*words, **variables):
    """The command, and the address that it says clients find it at."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "milo", *map(str, words)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment(), **variables},
        preexec_fn=heed_signals,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while not (line := await running.stderr.readline()).startswith(b"milo: MCP clients"):
                assert line, "it has ended"
            running.url = line.split()[-1].decode()
            yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


def open_gate(folder):
    """Returns once the phase has opened its end."""
    with open(folder / "gate", "w"):
        pass


async def ended(client, run):
    """Follow a run to its end; the last of its timeline."""
    uri = run["timeline"]
    async with following(client, uri) as heard:
        while (shown := await read(client, uri))["status"] in ("pending", "running"):
            assert await heard() == uri
    return shown


@both_eras
def test_without_leave_clients_only_look(write, mode):
    """They see the only pipeline before it has run, and there are no tools."""
    file = write("build.py", ONE)

    async def scenario():
        async with connected(command("mcp", file), mode) as client:
            shown = await read(client, ACTIVE)
            assert (shown["pipeline"], shown["status"]) == ("one", "pending")
            assert [phase["name"] for phase in shown["phases"]] == ["a"]
            with pytest.raises(MCPError, match=r"[Mm]ethod not found"):
                await client.call_tool("run_pipeline", {})

    asyncio.run(scenario())


@both_eras
def test_every_pipeline_of_a_file_can_be_run(write, mode):
    """Whatever the file prints or reads when it is imported, and its phases later."""
    file = write("build.py", TWO)

    async def scenario():
        async with connected(command("mcp", file, "--allow-run"), mode) as client:
            listed = (await call(client, "list_pipelines"))["pipelines"]
            assert [each["name"] for each in listed] == ["site", "deploy"]
            answer = await client.call_tool("run_pipeline", {})
            assert answer.is_error and "there are: site, deploy" in answer.content[0].text
            run = await call(client, "run_pipeline", pipeline="site", wait=True)
            (phase,) = (await read(client, run["timeline"]))["phases"]
            (line,) = (await read(client, phase["logs"]))["lines"]
            assert line["line"] == "{made}"
            run = await call(client, "run_pipeline", pipeline="deploy", params={"to": "there"})
            assert (await ended(client, run))["status"] == "completed"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("target", "names"),
    [("build.py", ["site", "deploy"]), ("build.py:deploy", ["deploy"]), ("build", None)],
)
def test_a_name_means_one_pipeline(write, target, names):
    """Without one, all that a file or a module holds."""
    write("build.py", TWO)

    async def scenario():
        async with connected(command("mcp", target, "--allow-run"), "auto") as client:
            listed = (await call(client, "list_pipelines"))["pipelines"]
            assert [each["name"] for each in listed] == (names or ["site", "deploy"])

    asyncio.run(scenario())


def test_a_function_makes_the_pipeline(write):
    """It is called with the arguments, as in ``milo run``."""
    write(
        "build.py",
        f"{IMPORTS}def make(name): return Pipeline(name, Phase('a', lambda: None))\n",
    )

    async def scenario():
        words = ("mcp", "--allow-run", "build.py:make", "made")
        async with connected(command(*words), "auto") as client:
            assert (await call(client, "run_pipeline", wait=True))["status"] == "completed"
            assert (await read(client, ACTIVE))["pipeline"] == "made"

    asyncio.run(scenario())


@both_eras
def test_over_http_with_a_token(write, mode):
    """Clients come and go; the token is that of the environment."""
    file = write("build.py", TWO)

    async def scenario():
        words = ("mcp", file, "--allow-run", "--http", 0)
        async with process(*words, MILO_MCP_TOKEN="s3cret") as running:
            with pytest.raises(BaseException):  # noqa: B017, PT011  # a group, as it comes
                async with over_http(running.url) as http, connected(http, mode):
                    pass
            for _ in range(2):
                async with (
                    over_http(running.url, "s3cret") as http,
                    connected(http, mode) as client,
                ):
                    run = await call(client, "run_pipeline", pipeline="deploy", wait=True)
                    assert run["status"] == "completed"

    asyncio.run(scenario())


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_a_signal_cancels_what_runs_and_ends_it(write, transport, signum):
    """The exit code is the signal's, as of any run that was interrupted."""
    file = write("build.py", LASTING)

    async def over_wire():
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "milo", "mcp", str(file), "--allow-run"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=heed_signals,
        )
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        for message in (
            {"id": 1, "method": "initialize", "params": hello},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/call", "params": {"name": "run_pipeline"}},
        ):
            running.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        return running

    async def interrupted(running):
        while b"it lasts" not in await running.stderr.readline():
            pass
        running.send_signal(signum)
        _, err = await running.communicate()
        assert b"it was cancelled" in err
        assert b"Traceback" not in err
        assert running.returncode == 128 + signum

    async def scenario():
        if transport == "stdio":
            await interrupted(await over_wire())
            return
        async with process("mcp", file, "--allow-run", "--http", 0) as running:
            async with connected(running.url, "auto") as client:
                await call(client, "run_pipeline")
            await interrupted(running)

    async def limited():
        async with asyncio.timeout(PATIENCE):
            await scenario()

    asyncio.run(limited())


@both_eras
def test_clients_see_what_became_of_what_was_cancelled(write, folder, mode):
    """A signal ends runs first, then tells clients, then the server."""
    file = write("build.py", LASTING)

    async def scenario():
        async with process("mcp", file, "--allow-run", "--http", 0) as running:
            async with connected(running.url, mode) as client:
                run = await call(client, "run_pipeline")
                async with following(client, run["timeline"]) as heard:
                    while b"it lasts" not in await running.stderr.readline():
                        pass
                    running.send_signal(signal.SIGTERM)
                    while (shown := await read(client, run["timeline"]))["status"] == "running":
                        assert await heard() == run["timeline"]
            assert (shown["status"], shown["phases"][0]["error"]) == ("failed", "cancelled")
            assert await running.wait() == 128 + signal.SIGTERM

    asyncio.run(scenario())


def test_a_client_that_hangs_up_ends_it(write, milo_process):
    """With 0: that is how a client says that it is done."""
    ended = milo_process("mcp", write("build.py", TWO), input=b"")
    assert (ended.code, ended.out) == (0, "")
    assert "noise at import" in ended.err


BAD = [
    (("mcp", "none.py"), "no such file: none.py"),
    (("mcp", "build.py:nothing"), "build.py has no 'nothing'"),
    (("mcp", "empty.py"), "empty.py has no 'pipeline' and no Pipeline"),
    (("mcp", "twice.py"), "twice.py has 2 pipelines called 'same'; give them different names"),
    (("mcp", "build.py", "--host", "::1"), "--host is for HTTP; add --http PORT"),
    (("mcp", "build.py", "--token", "x"), "--token is for HTTP; add --http PORT"),
    (("mcp", "build.py", "--http", "99999"), "99999 is not in the range 0<=x<=65535"),
    (("mcp", "build.py", "--http", "0", "--host", "0.0.0.0"), "reached from other machines"),
    (
        ("mcp", "build.py", "--http", "0", "--host", "no.such.", "--token", "x"),
        "cannot listen on no.",
    ),
    (("mcp", "build.py", "--http", "0", "--token", "é"), "token must be ASCII text"),
    (("run", "build.py", "--mcp", "x"), "'x' is not a valid integer"),
    (("run", "build.py", "--mcp", "1", "--dry-run"), "--dry-run runs nothing that --mcp could"),
]


@pytest.mark.parametrize(("words", "says"), BAD)
def test_bad_usage_is_one_line(write, milo_process, words, says):
    """It says what to do, and nothing is served."""
    write("build.py", ONE)
    write("empty.py", "")
    same = "Pipeline('same', Phase('a', id))"
    write("twice.py", f"{IMPORTS}one, two = {same}, {same}\n")
    ended = milo_process(*words, input=b"")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("milo: error: ")
    assert says in ended.err and ended.err.count("\n") == 1


@pytest.mark.parametrize("closed", [0, 1])
def test_without_stdin_or_stdout_it_is_told(write, closed):
    """In one line."""
    file = write("build.py", ONE)
    command = [sys.executable, "-m", "milo", "mcp", str(file)]
    ran = subprocess.run(
        command,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.close(closed),
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 2
    assert b"stdin or stdout is closed" in ran.stderr and b"add --http PORT" in ran.stderr
    assert ran.stderr.count(b"\n") == 1


def test_a_taken_port_is_an_error(write, milo_process):
    """It names the port, and how to get another."""
    file = write("build.py", TWO)

    async def scenario():
        async with process("mcp", file, "--http", 0) as running:
            port = running.url.split(":")[2].split("/")[0]
            taken = await asyncio.to_thread(milo_process, "run", file, "--mcp", port, input=b"")
            assert taken.code == 2
            assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in taken.err

    asyncio.run(scenario())


@both_eras
def test_a_run_is_followed_while_it_is_performed(write, folder, mode):
    """Clients hear of each change, and have time to read the end."""
    file = write("build.py", GATED)
    os.mkfifo(folder / "gate")

    async def scenario():
        async with process("run", file, "--json", "--mcp", 0) as running:
            async with connected(running.url, mode) as client:
                async with following(client, ACTIVE) as heard:
                    await asyncio.to_thread(open_gate, folder)  # which waits for the phase
                    lines = [await running.stdout.readline()]
                    while b'"event": "result"' not in lines[-1]:
                        lines.append(await running.stdout.readline())
                    while (shown := await read(client, ACTIVE))["status"] != "failed":
                        assert await heard() == ACTIVE
                assert [phase["status"] for phase in shown["phases"]] == ["completed", "failed"]
                logs = await read(client, "milo://pipeline/run-1/phases/wait/logs")
                assert [each["line"] for each in logs["lines"]] == ["through"]
            assert json.loads(lines[-1])["exit_code"] == await running.wait() == 1

    asyncio.run(scenario())


def test_a_client_that_stays_does_not_keep_a_run_from_ending(write, folder):
    """After a moment its subscription is ended, in good order."""
    file = write("build.py", GATED)
    os.mkfifo(folder / "gate")

    async def scenario():
        async with (
            process("run", file, "--mcp", 0) as running,
            connected(running.url, "auto") as client,
            client.listen(resource_subscriptions=[ACTIVE]) as changes,
        ):
            await asyncio.to_thread(open_gate, folder)
            assert {event.uri async for event in changes} == {ACTIVE}
            assert await running.wait() == 1

    asyncio.run(scenario())


def test_a_run_that_nobody_follows_ends_as_ever(write, milo_process):
    """The display is the same, and the code."""
    ended = milo_process("run", write("build.py", TWO), "--mcp", "0", input=b"")
    assert ended.code == 0
    assert "site completed" in ended.out
    assert ended.err.count("\n") == 1


def test_without_mcp_it_says_what_to_install(write, milo_process):
    """A broken installation is a line, not a traceback."""
    write("mcp_types.py", "raise ImportError('no mcp here')")
    write("build.py", TWO)
    for words in (("mcp", "build.py"), ("run", "build.py", "--mcp", "0")):
        ended = milo_process(*words, input=b"", env={"PYTHONPATH": "."})
        assert ended.code == 2
        assert "cannot be imported (no mcp here); install it again, with: pip" in ended.err
