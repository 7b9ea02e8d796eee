"""The host registers nothing: the handler is found by its entry point."""

import subprocess
import sys
from functools import partial
from importlib.metadata import distribution

import pytest

from milo_core import Store
from milo_core.plugins import PluginGroup
from milo_effects import EffectRegistry, SagaRuntime, UnknownEffectError
from milo_effects.registry import EFFECTS_GROUP
from milo_example_http import Http

HOST = """
import sys
from milo_core import Store
from milo_effects import Delay
from milo_example_http import Http

def foreign():
    return {"milo_example_http._handler", "httpx"} & set(sys.modules)

def saga():
    yield Delay(0)
    before = foreign()
    response = yield Http("GET", sys.argv[1])
    return before, response.status

with Store(lambda state, action: state, None) as store:
    before, status = store.run_saga(saga).result(30)
print(before or "nothing", status, sorted(foreign()))
"""

BROKEN = """
import sys
sys.modules["httpx"] = None
from milo_core import Store
from milo_effects import Delay
from milo_example_http import Http

def saga():
    try:
        yield Http("GET", "http://localhost/")
    except Exception as error:
        yield Delay(0)
        return error

with Store(lambda state, action: state, None) as store:
    print(store.run_saga(saga).result(30))
"""


def host(program, *arguments):
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_handler_is_imported_by_the_first_request(server):
    """Until a saga yields an ``Http``, neither the handler nor httpx has been imported."""
    assert (
        host(HOST, server.url("/echo")) == "nothing 200 ['httpx', 'milo_example_http._handler']\n"
    )


def test_a_plugin_that_does_not_import_is_named_and_the_saga_goes_on():
    """Without httpx the saga gets an error that says which plugin does not load, and why."""
    told = host(BROKEN)
    assert "no handler for Http (from milo_example_http.effect)" in told
    assert "plugin 'http' of milo.effects (from milo-example-http 0.1.0) does not load" in told
    assert "ModuleNotFoundError" in told and "httpx" in told


def test_without_the_entry_point_the_effect_is_unknown():
    """The error names the effect and asks for the package that brings it."""
    registry = EffectRegistry(plugins=PluginGroup(EFFECTS_GROUP, entry_points=[]))
    runtime = partial(SagaRuntime, registry=registry)

    def saga():
        yield Http("GET", "http://localhost/")

    with Store(lambda state, action: state, None, runtime=runtime) as store:
        task = store.run_saga(saga)
        with pytest.raises(UnknownEffectError, match=r"no handler for Http .*install the package"):
            task.result(30)


def test_the_entry_point_is_in_the_metadata():
    """The installed distribution declares one handler, under the group that Milo searches."""
    (entry,) = distribution("milo-example-http").entry_points
    assert (entry.group, entry.name) == (EFFECTS_GROUP, "http")
    assert entry.load().milo_effect_type is Http
