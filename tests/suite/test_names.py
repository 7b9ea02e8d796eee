"""``import milo``: which names it offers, where they come from, and what it costs."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import milo


def typed_imports():
    """Each name under TYPE_CHECKING in milo/__init__.py with the package it comes from."""
    tree = ast.parse(Path(milo.__file__).read_text(encoding="utf-8"))
    (guarded,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_both_lists_agree():
    """What type checkers see and what ``__all__`` promises is the same."""
    assert sorted(typed_imports()) == sorted(milo.__all__)


@pytest.mark.parametrize("name", milo.__all__)
def test_names_come_from_the_package_the_types_say(name):
    """Each name, looked up when used, is the object that the typed import means."""
    assert getattr(milo, name) is getattr(import_module(typed_imports()[name]), name)


FOR_AUTHORS_OF_PACKAGES = {
    "WINDING_DOWN",
    "Wire",
    "Handler",
    "Reply",
    "Resume",
    "ResumedTwiceError",
    "SagaRuntime",
    "Start",
    "Stop",
    "Wait",
    "answers",
    "delegate",
}
"""What only code that extends Milo needs stays in its package."""


def test_nothing_is_left_out():
    """Every public name of the packages can be had from ``milo``, but for those set above."""
    packages = [
        *("milo_core", "milo_effects", "milo_pipeline"),
        *("milo_mcp", "milo_tui", "milo_durable"),
    ]
    public = {name for package in packages for name in import_module(package).__all__}
    assert public - set(milo.__all__) == FOR_AUTHORS_OF_PACKAGES


@pytest.mark.parametrize("submodule", ["state", "pipeline", "durable"])
def test_submodules_offer_the_same_objects(submodule):
    """``milo.state.Store`` is ``milo.Store``, and so on for every name there."""
    module = import_module(f"milo.{submodule}")
    assert module.__all__
    for name in module.__all__:
        assert getattr(module, name) is getattr(milo, name)


def loaded_by(code):
    """The top-level packages that are there once a new Python has run ``code``."""
    code = f"{code}; import sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(ran.stdout.split())


def test_import_alone_loads_nothing_else():
    """``import milo`` imports no other package of Milo, and nothing of what they stand on."""
    loaded = loaded_by("import milo")
    # An editable install imports its finder, which is no part of Milo.
    assert {name for name in loaded if name.startswith("milo")} == {"milo"}
    assert not loaded & {"click", "rich", "sqlalchemy", "pydantic", "aiosqlite", "mcp"}


def test_a_name_loads_what_it_needs_and_no_more():
    """Pipelines go without what durable sagas and MCP servers stand on."""
    loaded = loaded_by("import milo; milo.Pipeline, milo.Store, milo.Take")
    assert {"milo_core", "milo_effects", "milo_pipeline"} <= loaded
    assert not loaded & {"milo_durable", "sqlalchemy", "pydantic", "mcp"}
    assert {"milo_durable", "sqlalchemy"} <= loaded_by("import milo; milo.SagaBuilder")
    assert not loaded & {"prompt_toolkit", "rich"}
    assert "prompt_toolkit" in loaded_by("import milo; milo.App")
    serving = loaded_by("import milo; milo.TimelineServer")
    assert "mcp" in serving and "sqlalchemy" not in serving


def test_an_unknown_name_is_the_usual_error():
    """A name that is not there raises AttributeError with module and name, as in any module."""
    with pytest.raises(AttributeError, match="module 'milo' has no attribute 'Applesauce'"):
        milo.Applesauce  # noqa: B018


def test_dir_lists_every_name():
    """Completion shows names that have not been loaded."""
    assert set(milo.__all__) <= set(dir(milo))
