"""The scheduler at its edges: faults of what runs the tasks, and Ctrl-C as a thread starts."""

import threading
from collections import deque
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

    def fail(task, fault):
        raise fault

    scheduler = Scheduler(run, fail, 1)
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


def test_a_worker_that_is_given_up_counts_for_nothing_with_all_it_has_run(gate, hangs):
    """What it finished without the lock is counted then, and not once more at its end."""

    class Slice:
        variables = None

    busy, leave = gate(), gate()

    def run(task, variables):
        if task is stuck:
            busy.set()
            leave.pass_through()

    scheduler = Scheduler(run, None, 1)
    stuck = Slice()
    others = [Slice() for _ in range(3)]
    with scheduler.lock:
        wake = scheduler.push(others[0])
        for task in [*others[1:], stuck]:
            scheduler.push(task)
    wake()
    busy.pass_through()
    assert scheduler.active == 1
    with scheduler.lock:
        scheduler.set_aside([stuck])
    assert scheduler.active == 0
    assert scheduler.wait_idle(hangs)
    leave.set()
    last = Slice()
    with scheduler.lock:
        wake = scheduler.push(last)
    wake()
    assert scheduler.wait_idle(hangs)
    scheduler.stop()
    assert scheduler.active == 0


def test_a_task_that_another_worker_has_just_taken_is_left_to_it(hangs):
    """The queue looked full and was empty: the worker looks again."""
    ran = []

    class Slice:
        variables = None

    class Snatched(deque):
        pops = 0

        def popleft(self):
            self.pops += 1
            if self.pops == 2:
                raise IndexError("another worker was faster")
            return super().popleft()

    scheduler = Scheduler(lambda task, variables: ran.append(task), None, 1)
    scheduler._ready = Snatched()
    first, second = Slice(), Slice()
    with scheduler.lock:
        wake = scheduler.push(first)
        scheduler.push(second)
    wake()
    assert scheduler.wait_idle(hangs)
    scheduler.stop()
    assert ran == [first, second]
