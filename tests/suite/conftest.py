"""What the tests of the command share: target files, and the command in two forms."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from milo._cli import main

# importlib mode leaves the path alone; the modules beside this file are wanted by name.
# mcp_clients.py and programs.py are shared with the tests of milo-mcp and milo-tui.
_TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(_TESTS / name) for name in ("suite", "mcp", "tui")]

from suite_tools import HANG, environment  # noqa: E402 (found by the path above)


@dataclass(frozen=True)
class Ended:
    """What is left of a command: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder):
    """Write a Python file into the current folder: ``write("build.py", source)``."""

    def write_file(name, source):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def milo(capsys, monkeypatch):
    """Run the command in this process; what it imports and puts on the path is undone."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    before = set(sys.modules)

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)

    yield run
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if name.startswith("_milo_target_") or Path.cwd() in Path(path).parents:
            del sys.modules[name]


@pytest.fixture
def milo_process():
    """Run the command in a process of its own: ``milo_process("run", "build.py", env={...})``."""

    def run(*words, env=None, **options):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-m", "milo", *map(str, words)],
            capture_output=True,
            env={**environment(), **(env or {})},
            timeout=HANG,
            check=False,
            **options,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return run
