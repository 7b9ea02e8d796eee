"""The runner at its edges: sagas of a foreign kind, faults, and a closing that overtakes."""

import gc
import logging
import weakref
from collections.abc import Generator
from contextvars import ContextVar
from dataclasses import dataclass

import pytest

from milo_core import Action
from milo_effects import Call, EffectRegistry, SagaCancelled, Select, Take, handles
from milo_effects.results import Wait

name = ContextVar("name", default="nobody")


def one(effect):
    return (yield effect)


class Wrapped(Generator):
    """A generator that is not the interpreter's own, as compiled code has them."""

    def __init__(self, inner):
        self.inner = inner
        self.steps = 0

    def send(self, value):
        self.steps += 1
        return self.inner.send(value)

    def throw(self, *error):
        return self.inner.throw(*error)


class Failing(Wrapped):
    """Of this one's ``send`` not even the attribute can be had, after so many times."""

    def __init__(self, inner, times):
        super().__init__(inner)
        self.times = times

    @property
    def send(self):
        if self.times == 0:
            raise LookupError("no send")
        self.times -= 1
        return super().send


@dataclass(frozen=True)
class Await:
    """Waits with the ``Wait`` that ``make`` makes."""

    make: object


@handles(Await)
def await_it(effect, context, store):
    return effect.make()


class Stopping(Wait):
    """A wait that the test ends, and whose ``stop`` is the test's."""

    def __init__(self, stop=lambda: None):
        self._stop = stop

    def begin(self):
        pass

    def stop(self):
        return self._stop()


@pytest.fixture
def await_store(new_store):
    return new_store(registry=EffectRegistry(await_it), max_workers=1)


# Sagas of a foreign kind


def test_any_generator_is_a_saga(new_store, run):
    """One that only behaves as a generator is stepped as one."""

    def saga():
        five = yield Call(int, ("5",))
        try:
            yield Call(int, ("five",))
        except ValueError:
            return five

    wrapped = Wrapped(saga())
    assert run(new_store(), wrapped) == 5
    assert wrapped.steps == 2


def test_any_generator_cleans_up(new_store, park, ended):
    """Cancelled, it may yield effects, too."""
    cleaned = []

    def saga():
        try:
            yield Take("NEVER")
        finally:
            cleaned.append((yield Call(int)))

    task = park(new_store(), Wrapped(saga()))
    task.cancel()
    assert ended(task) is SagaCancelled
    assert cleaned == [0]


# Faults


def test_a_saga_that_cannot_even_be_stepped_ends(new_store, run, ended, reports, caplog):
    """It is logged as critical, dispatched as the saga's error, and costs no worker."""
    store = new_store(max_workers=1)
    assert ended(store.run_saga(Failing(one(Call(int)), 0))) is LookupError
    assert reports(store) == [("@@SAGA_ERROR", "LookupError")]
    assert [each.levelname for each in caplog.records] == ["CRITICAL"]
    assert run(store, one(Call(int))) == 0


def test_a_saga_that_can_no_longer_be_stepped_keeps_nothing(await_store, settle, ended):
    """The wait that had an answer for it is let go of."""
    waits = []

    def make():
        wait = Stopping()
        waits.append(wait)
        return wait

    task = await_store.run_saga(Failing(one(Await(make)), 1))
    settle(await_store)
    waits[0].send(5)
    assert ended(task) is LookupError
    settle(await_store)
    wait = weakref.ref(waits.pop())
    gc.collect()
    assert wait() is None


@pytest.mark.parametrize("times", [1, 2])
def test_a_log_handler_that_raises_costs_no_worker(new_store, run, settle, times):
    """What it refuses to take is logged again, further out, and no saga ends twice."""

    class Raising(logging.Handler):
        def __init__(self):
            super().__init__()
            self.records = []

        def emit(self, record):
            self.records.append(record.name)
            if len(self.records) <= times:
                raise OSError("the disk is full")

    def complain(task):
        raise ValueError("a callback that raises")

    store, handler, logger = new_store(max_workers=1), Raising(), logging.getLogger("milo_effects")

    logger.addHandler(handler)
    try:
        task = store.run_saga(one(Take("NEVER")))
        task.add_done_callback(complain)
        settle(store)
        task.cancel()
        settle(store)
    finally:
        logger.removeHandler(handler)
    assert isinstance(task.error, SagaCancelled)
    assert [each.type for each in store.state].count("@@SAGA_CANCELLED") == 1
    further_out = ["milo_effects._runner", "milo_effects._runner", "milo_effects._scheduler"]
    assert handler.records == further_out[: times + 1]
    assert run(store, one(Call(int))) == 0


# Cancelled while an effect is carried out


def test_what_a_saga_calls_may_cancel_it(new_store, park, ended):
    """Before its next effect: it is thrown in where the call's result would have come."""
    store, seen = new_store(), []

    def saga():
        yield Take("GO")
        try:
            yield Call(task.cancel)
        except SagaCancelled:
            seen.append("cancelled")
            raise
        seen.append("went on")

    task = park(store, saga())
    store.dispatch(Action("GO"))
    assert ended(task) is SagaCancelled
    assert seen == ["cancelled"]


# Turns


def test_a_saga_keeps_its_variables_from_turn_to_turn(new_store):
    """Two sagas that take turns without ever waiting each see what they have set."""
    store = new_store(max_workers=1)

    def saga(mine):
        name.set(mine)
        for _ in range(1200):
            yield Select()
            assert name.get() == mine
        return "kept"

    tasks = [store.run_saga(saga(n)) for n in range(2)]
    assert [task.result(60) for task in tasks] == ["kept"] * 2


# A closing that overtakes


@pytest.fixture
def closing_of(new_store, gate, monkeypatch):
    """``closing_of(store)`` is opened once its shutdown has given up waiting for cleanup."""
    monkeypatch.setattr("milo_effects.runtime.CLEANUP_SECONDS", 0.01)

    def watch(store):
        runner, closing = new_store.runtime(store).runner, gate()
        close_all = runner.close_all

        def close_all_and_tell():
            close_all()
            closing.set()

        monkeypatch.setattr(runner, "close_all", close_all_and_tell)
        return closing

    return watch


def noting(effect, seen):
    """A saga that yields one effect and notes what came of it."""
    try:
        seen.append((yield effect))
    except BaseException as error:
        seen.append(type(error))
        raise


@pytest.mark.parametrize("answer", [None, "winding down"])
def test_closing_overtakes_a_stop_that_takes_too_long(
    await_store, closing_of, gate, settle, ended, answer
):
    """The saga is closed instead of cancelled: its ``finally`` runs, but may not wait."""
    stopping, seen = gate(), []

    def stop():
        stopping.set()
        closing.pass_through()
        return answer

    task = await_store.run_saga(noting(Await(lambda: Stopping(stop)), seen))
    settle(await_store)
    closing = closing_of(await_store)
    task.cancel()
    stopping.pass_through()
    await_store.shutdown()
    assert ended(task) is SagaCancelled
    assert "closed before it had cleaned up" in str(task.error)
    assert seen == [GeneratorExit]


def test_closing_overtakes_a_call_that_takes_too_long(new_store, closing_of, gate, ended):
    """When the call has come to its end the saga is closed, and its result is dropped."""
    store, begun, watched, seen = new_store(), gate(), gate(), []

    def work():
        begun.set()
        watched.pass_through()
        return closing.pass_through()

    task = store.run_saga(noting(Call(work), seen))
    begun.pass_through()
    closing = closing_of(store)
    watched.set()
    store.shutdown()
    assert ended(task) is SagaCancelled
    assert "closed before it had cleaned up" in str(task.error)
    assert seen == [GeneratorExit]
