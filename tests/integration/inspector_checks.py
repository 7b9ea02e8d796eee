"""The MCP project's own Inspector, on the command line, beside ``milo mcp``.

Not collected by name: it comes from npm, where ``nox -s inspector`` gets it.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import pytest

PATIENCE = 60
INSPECTOR = os.environ.get("MILO_INSPECTOR", "mcp-inspector")
TOKEN = "s3cret"
SOURCE = """
from milo import Param, Phase, Pipeline

def make(name):
    print(f"made {name}")

def fail():
    raise OSError("disk full")

pipeline = Pipeline(
    "site",
    Phase("make", make, params=("name",)),
    params=(Param("name", default="index"),),
    capture_output=True,
)
broken = Pipeline("broken", Phase("fail", fail))
"""
ACTIVE = "milo://pipeline/timeline"


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "build.py"
    path.write_text(SOURCE)
    return str(path)


@contextmanager
def over_http(target):
    """What reaches a server over HTTP, with its token."""
    command = [sys.executable, "-m", "milo", "mcp", target, "--allow-run", "--http", "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "MILO_MCP_TOKEN": TOKEN}
    ) as server:
        try:
            url = server.stderr.readline().split()[-1]
            yield ["--server-url", url, "--header", f"Authorization: Bearer {TOKEN}"]
        finally:
            server.terminate()


@pytest.fixture(params=["stdio, modern", "http, legacy"])
def ask(request, target):
    """Ask a server: ``ask("--method", "resources/list")``; the answer."""
    transport, era = request.param.split(", ")
    if transport == "stdio":
        words = [sys.executable, "-m", "milo", "mcp", target, "--allow-run"]
        yield partial(inspect, *words, "--protocol-era", era)
        return
    with over_http(target) as words:
        yield partial(inspect, *words, "--protocol-era", era)


def inspect(*words, code=0):
    """What the Inspector prints: JSON, or an error."""
    ended = subprocess.run(
        [INSPECTOR, "--cli", *words], capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout) if code == 0 else ended.stderr


def call(ask, tool, *words):
    """What a tool answers."""
    given = ["--tool-arg", *words] if words else []
    return ask("--method", "tools/call", "--tool-name", tool, *given)["structuredContent"]


def test_resources_are_listed_and_read(ask):
    """The active pipeline is there before anything has run."""
    (listed,) = ask("--method", "resources/list")["resources"]
    assert listed["uri"] == ACTIVE
    templates = ask("--method", "resources/templates/list")["resourceTemplates"]
    assert [each["uriTemplate"] for each in templates] == [
        "milo://pipeline/{run}/timeline",
        "milo://pipeline/{run}/phases/{phase}/logs{?cursor}",
    ]
    (content,) = ask("--method", "resources/read", "--uri", ACTIVE)["contents"]
    assert json.loads(content["text"])["phases"] == []


def test_what_is_not_there_is_an_error(ask):
    """The Inspector shows what the server says."""
    says = ask("--method", "resources/read", "--uri", "milo://pipeline/run-9/timeline", code=1)
    assert "there is no run 'run-9'; known are: none" in says


def test_the_schemas_of_tools_suit_every_client(target):
    """The Inspector's strict look at them finds nothing that some client would refuse."""
    ask = partial(inspect, sys.executable, "-m", "milo", "mcp", target, "--allow-run")
    tools = ask("--method", "tools/list", "--strict")["tools"]
    names = ["list_pipelines", "run_pipeline", "cancel_pipeline", "rerun_phase"]
    assert [each["name"] for each in tools] == names


def test_tools_are_called(ask):
    """A pipeline is found and run to its end, with a parameter; another one fails."""
    listed = call(ask, "list_pipelines")["pipelines"]
    assert [each["name"] for each in listed] == ["site", "broken"]
    run = call(ask, "run_pipeline", "pipeline=site", "wait=true", 'params={"name": "about"}')
    assert run["status"] == "completed"
    assert call(ask, "run_pipeline", "pipeline=broken", "wait=true")["status"] == "failed"


def test_a_failed_phase_runs_again(target):
    """Over HTTP the run stays known from one call to the next."""
    with over_http(target) as words:
        ask = partial(inspect, *words)
        run = call(ask, "run_pipeline", "pipeline=broken", "wait=true")["run"]
        again = call(ask, "rerun_phase", f"run={run}", "phase=fail", "wait=true")
        assert again["status"] == "failed" and again["run"] != run
        stopped = call(ask, "cancel_pipeline", f"run={run}")
        assert stopped == {"run": run, "was_running": False}
