"""milo-core with nothing else installed: the state it is in after ``pip install milo-core``."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import milo_core

COUNTER = """
from milo_core import Action, Store

store = Store(lambda count, action: count + (action.type == "ADD"), 0)
store.dispatch(Action("ADD"))
print(store.state)
"""

SAGA_WITHOUT_RUNTIME = """
from milo_core import Action, MissingPluginError, ReducerResult, Store

def reducer(state, action):
    return ReducerResult(state + 1, sagas=(iter,)) if action.type == "GO" else state

store = Store(reducer, 0)
try:
    store.dispatch(Action("GO"))
except MissingPluginError as error:
    print(store.state, "milo-effects" in str(error))
"""

NEWLY_LOADED = """
import json, sys
before = set(sys.modules)
import milo_core
new = sorted(set(sys.modules) - before)
specs = {name: getattr(sys.modules[name], "__spec__", None) for name in new}
origins = {name: getattr(spec, "origin", None) for name, spec in specs.items()}
print(json.dumps(origins))
"""


def run(code: str, *options: str, **env: str) -> str:
    """What ``code`` prints in an interpreter of its own."""
    command = [sys.executable, *options, "-W", "error", "-c", code]
    environment = {**os.environ, **env}
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def run_alone(code: str, folder: Path) -> str:
    """Run ``code`` where milo_core is the only thing importable beside the standard library."""
    shutil.copytree(Path(milo_core.__file__).parent, folder / "milo_core")
    return run(code, "-S", PYTHONPATH=str(folder))


def test_a_counter_works_alone(tmp_path):
    """A store counts with nothing but the standard library beside it."""
    assert run_alone(COUNTER, tmp_path) == "1\n"


def test_sagas_alone_name_the_missing_package(tmp_path):
    """A reducer that asks for sagas is told to install milo-effects; the state is unchanged."""
    assert run_alone(SAGA_WITHOUT_RUNTIME, tmp_path) == "0 True\n"


def test_importing_loads_no_other_distribution():
    """Whatever is installed, ``import milo_core`` loads the standard library and itself only."""
    home = Path(milo_core.__file__).parent
    standard = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    foreign = {
        name: origin
        for name, origin in json.loads(run(NEWLY_LOADED)).items()
        if origin not in (None, "built-in", "frozen")
        and not Path(origin).is_relative_to(home)
        and not is_standard(Path(origin), standard)
    }
    assert foreign == {}


def is_standard(origin: Path, standard: set[Path]) -> bool:
    """In the standard library's folder, and not in the site-packages folder inside it."""
    packages = {"site-packages", "dist-packages"}
    return not packages & set(origin.parts) and any(origin.is_relative_to(s) for s in standard)
