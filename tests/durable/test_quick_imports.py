"""``import milo_durable``, and its command line: what they cost, and which names are there."""

import ast
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import milo_durable
from milo_durable.cli.working import worker
from milo_durable.worker import GRACE, POLL


def typed_imports():
    """Each name under TYPE_CHECKING in milo_durable/__init__.py, and the module it is in."""
    tree = ast.parse(Path(milo_durable.__file__).read_text(encoding="utf-8"))
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


def test_all_lists_of_names_agree():
    """What type checkers see, what is looked up, and what ``__all__`` promises is the same."""
    looked_up = {name: f"milo_durable.{home}" for name, home in milo_durable._HOMES.items()}
    assert looked_up == typed_imports()
    assert sorted(looked_up) == sorted(milo_durable.__all__)


@pytest.mark.parametrize("name", milo_durable.__all__)
def test_a_name_is_the_object_of_its_module(name):
    """Each, looked up when it is used."""
    assert getattr(milo_durable, name) is getattr(import_module(typed_imports()[name]), name)


def test_dir_lists_every_name():
    """Completion shows names that have not been loaded."""
    assert set(milo_durable.__all__) <= set(dir(milo_durable))


def test_an_unknown_name_is_the_usual_error():
    """AttributeError with module and name, as in any module; ImportError when it is imported."""
    with pytest.raises(AttributeError, match="module 'milo_durable' has no attribute 'Sago'"):
        milo_durable.Sago  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Sago' from 'milo_durable'"):
        exec("from milo_durable import Sago")


HEAVY = """
print(*{"sqlalchemy", "pydantic"} & set(sys.modules))
"""


def heavy_after(code):
    """Which of SQLAlchemy and pydantic are there once a new Python has run ``code``."""
    command = [sys.executable, "-c", f"import sys\n{code}{HEAVY}"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(ran.stdout.splitlines()[-1].split())


def test_a_pickled_value_is_read_where_nothing_has_been_loaded():
    """It names its own module."""
    policy = milo_durable.FixedRetry(3)
    code = f"import milo_durable, pickle; pickle.loads({pickle.dumps(policy)!r})"
    assert not heavy_after(code)
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_the_import_alone_loads_nothing_else():
    """Neither the package nor its command line imports SQLAlchemy or pydantic."""
    assert not heavy_after("import milo_durable")
    assert not heavy_after("import milo_durable.cli")
    assert heavy_after("from milo_durable import BaseStep") == {"sqlalchemy", "pydantic"}


HELP = """
from milo_durable.cli import saga
for name in saga.commands:
    saga.main([name, "--help"], standalone_mode=False)
"""


def test_help_is_quick():
    """No command needs SQLAlchemy or pydantic to say what it takes."""
    assert not heavy_after(HELP)


def test_the_worker_of_the_command_line_has_the_usual_spans():
    """They are written there again, for the worker itself is not imported for ``--help``."""
    defaults = {each.name: each.default for each in worker.params}
    assert defaults["poll"] == POLL.total_seconds()
    assert defaults["grace"] == GRACE.total_seconds()
