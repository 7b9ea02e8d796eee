"""The scheduler at its edges: faults of what runs the tasks, and Ctrl-C as a thread starts."""

import threading
from contextvars import Context
from types import SimpleNamespace

import pytest

from milo_core import Action
from milo_effects import Put
from milo_effects._scheduler import Scheduler


@pytest.mark.parametrize("variables", [None, Context()], ids=["clean", "with variables"])
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_fault_of_the_runner_is_logged_and_costs_no_worker(gate, caplog, hangs, error, variables):
    """The same worker takes the next task, and the scheduler becomes idle."""
    ran, workers = gate(), []

    def run(task, variables):
        workers.append(threading.current_thread().name)
        if task is broken:
            raise error("a fault")
        ran.set()

    scheduler = Scheduler(run, 1)
    broken, sound = SimpleNamespace(variables=variables), SimpleNamespace(variables=None)
    with scheduler.lock:
        wake = scheduler.push(broken)
        assert scheduler.push(sound) is None
    wake()
    ran.pass_through()
    assert scheduler.wait_idle(hangs)
    scheduler.stop()
    assert workers == ["milo-worker-1"] * 2
    assert [(each.levelname, each.exc_info[0]) for each in caplog.records] == [("CRITICAL", error)]


def test_ctrl_c_while_a_worker_starts_is_ctrl_c(new_store, settle, seen, monkeypatch, caplog):
    """``Thread.start`` may turn it into a RuntimeError; the thread runs and so does the saga."""
    store, start = new_store(max_workers=1), threading.Thread.start

    def interrupted(thread):
        start(thread)
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("cannot release un-acquired lock")  # noqa: B904

    def saga():
        yield Put(Action("RAN", 1))

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.run_saga(saga())
    settle(store)
    assert seen(store, "RAN") == [1]
    assert caplog.records == []
