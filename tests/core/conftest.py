"""What the core tests share: a runtime made of notes, threads that start together, reducers."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from milo_core import plugins, runtime

# importlib mode leaves the path alone; recorded_types.py beside this file is wanted by name,
# here and in the processes that read recordings back.
sys.path.insert(0, str(Path(__file__).parent))

HANGS = 60.0
"""Seconds that only a hang exceeds."""


class Everything:
    """A container of all types of action."""

    def __contains__(self, action_type):
        return True


class FakeRuntime:
    """A ``milo_core.runtime.Runtime`` that notes what it is asked, and its own factory.

    It listens for every action, and keeps those it was told of in ``actions``.
    """

    def __init__(self):
        self.notes = []
        self.actions = []
        self.host = None
        self.active = 0
        self.wake = None

    def __call__(self, host):
        self.host = host
        self.notes.append("made")
        host.listen_for(Everything())
        return self

    def on_action(self, action):
        self.notes.append(f"on_action {action.type}")
        self.actions.append(action)
        return self.wake

    def start(self, sagas, cmds):
        self.notes.append(("start", sagas, cmds))

    def run_saga(self, saga, cancel, context):
        self.notes.append(("run_saga", saga, cancel, context))
        return "a context"

    def wait_idle(self, timeout):
        self.notes.append(("wait_idle", timeout))
        return False

    def shutdown(self):
        self.notes.append("shutdown")


@pytest.fixture
def fake_runtime():
    """A fresh ``FakeRuntime``, to be given as ``Store(..., runtime=fake_runtime)``."""
    return FakeRuntime()


@pytest.fixture
def behind():
    """``behind(mark)``: the actions that an open mark sees, in order; ``None`` if it is closed."""

    def actions(mark):
        node, found = mark.node, []
        if node is None:
            return None
        while (following := node[1]) is not None:
            found.append(node[0])
            node = following
        return found

    return actions


@pytest.fixture
def no_runtime(monkeypatch):
    """No runtime is installed, whatever this environment holds."""
    empty = plugins.PluginGroup(runtime.RUNTIME_GROUP, entry_points=[])
    monkeypatch.setattr(runtime, "plugin_group", {runtime.RUNTIME_GROUP: empty}.__getitem__)


@pytest.fixture
def together():
    """Run functions at the same time, each on a thread of its own; raise what one raises."""

    def run(*works):
        start = threading.Barrier(len(works))

        def begin(work):
            start.wait(HANGS)
            return work()

        with ThreadPoolExecutor(len(works)) as pool:
            running = [pool.submit(begin, work) for work in works]
            return [future.result(HANGS) for future in running]

    return run


@pytest.fixture
def gate():
    """Make events whose ``pass_through`` fails the test where a plain wait would hang."""

    class Gate(threading.Event):
        def pass_through(self):
            assert self.wait(HANGS), "nobody opened the gate"

    return Gate
