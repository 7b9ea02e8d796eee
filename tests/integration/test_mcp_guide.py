"""The guide for agents: its configurations are what clients read, and its session takes place."""

import asyncio
import json
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.subscriptions import ResourceUpdated

GUIDE = Path(__file__).parents[2] / "docs" / "mcp.md"
PATIENCE = 60
ACTIVE = "milo://pipeline/timeline"
SECONDS = re.compile(r'("elapsed": )[0-9.]+')


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The pipeline of the guide, with a page that has no title."""
    (program,) = blocks("python")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build.py").write_text(program)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "about.md").write_text("nobody\n")
    (tmp_path / "pages" / "index.md").write_text("# Welcome\n")
    return tmp_path


class Session:
    """A client that writes down what passes."""

    def __init__(self, client):
        self.lines = []
        self._client = client

    async def read(self, uri):
        self.lines.append(f"→ resources/read {uri}")
        (content,) = (await self._client.read_resource(uri)).contents
        self._answer(json.loads(content.text))

    async def call(self, tool, **arguments):
        self.lines.append(f"→ tools/call {tool} {json.dumps(arguments)}")
        answer = await self._client.call_tool(tool, arguments)
        self._answer(answer.structured_content)
        return answer.structured_content

    def note(self, line):
        self.lines.append(line)

    def _answer(self, value):
        first, *rest = wrapped(value)
        self.lines += [f"← {first}", *(f"  {line}" for line in rest), ""]


def wrapped(value, width=86):
    """JSON, as many of the parts of an object on a line as there is room for."""
    if len(json.dumps(value)) <= width or not isinstance(value, dict | list):
        return [json.dumps(value, ensure_ascii=False)]
    pairs = value.items() if isinstance(value, dict) else ((None, each) for each in value)
    parts = []
    for key, each in pairs:
        inner = wrapped(each, width - 2)
        head = "" if key is None else f"{json.dumps(key)}: "
        parts.append([head + inner[0], *inner[1:]])
    lines = []
    for index, part in enumerate(parts):
        part[-1] += "," * (index < len(parts) - 1)
        fits = lines and len(part) == 1 and len(lines[-1]) + len(part[0]) < width - 2
        if fits and lines[-1].endswith(","):
            lines[-1] += f" {part[0]}"
        else:
            lines += part
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return [opening, *(f"  {line}" for line in lines), closing]


async def take_place(folder):
    """The session of the guide; its transcript."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "milo", "mcp", "build.py", "--allow-run"], cwd=folder
    )
    async with asyncio.timeout(PATIENCE), Client(server, cache=None) as client:
        session = Session(client)
        await session.call("list_pipelines")
        session.note(f"→ subscriptions/listen {ACTIVE}")
        async with client.listen(resource_subscriptions=[ACTIVE]) as stream:
            failed = await session.call("run_pipeline", wait=True)
            event = await anext(stream)
            assert event == ResourceUpdated(ACTIVE)
            session.note(f"← notifications/resources/updated {ACTIVE}")
            await session.read(failed["timeline"])
            await session.read(failed["failed"][0]["logs"])
            (folder / "pages" / "about.md").write_text("# About\n\nnobody\n")
            session.note("  (the agent gives pages/about.md a title)")
            session.note("")
            await session.call("rerun_phase", run=failed["run"], phase="check", wait=True)
            await session.read(ACTIVE)
    return "\n".join(session.lines).rstrip() + "\n"


def test_the_session_takes_place(folder):
    """The transcript in the guide is what passes, but for the seconds it takes.

    With ``MILO_WRITE_TRANSCRIPT`` set it is written there instead.
    """
    made = SECONDS.sub(r"\g<1>0.002", asyncio.run(take_place(folder)))
    *_, written = blocks("text")
    if os.environ.get("MILO_WRITE_TRANSCRIPT"):
        GUIDE.write_text(GUIDE.read_text().replace(written, made))
    else:
        assert made == written


def test_configurations_are_what_clients_can_parse():
    """Each is JSON or TOML that names the command, its arguments or an address."""
    parsed = [json.loads(block) for block in blocks("json")]
    parsed += [tomllib.loads(block) for block in blocks("toml")]
    assert len(parsed) == 6
    for each in parsed:
        (servers,) = each.values()
        server = servers["milo"]
        if "url" in server:
            assert server["url"] == "http://127.0.0.1:8765/mcp"
        else:
            assert server["command"] == "milo"
            assert server["args"][0] == "mcp" and server["args"][-1] == "--allow-run"


def test_options_in_the_guide_exist():
    """Every option that it names is one of the commands'."""
    from milo._cli.mcp import mcp
    from milo._cli.run import run

    known = {name for command in (mcp, run) for each in command.params for name in each.opts}
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    commands = [line.partition("#")[0] for line in lines if line.startswith("milo ")]
    used = {word for line in commands for word in re.findall(r"--[a-z-]+", line)}
    assert used and used <= known
