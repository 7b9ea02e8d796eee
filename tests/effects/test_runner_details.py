"""What the runner lets go of, and what it still does when something has come in between."""

import gc
import sys
import weakref
from contextvars import ContextVar
from dataclasses import dataclass

import pytest

from milo_core import Action, _sharing
from milo_effects import (
    Call,
    Delay,
    EffectRegistry,
    EffectResult,
    Fork,
    SagaCancelled,
    SagaContext,
    Take,
    Timeout,
    Wait,
    handles,
)
from milo_effects.task import SagaTask

passing = ContextVar("passing")


@dataclass(frozen=True)
class Begin:
    """Waits as its ``start`` says."""

    start: object


@dataclass(frozen=True)
class Await:
    """Waits with the ``Wait`` that ``make`` makes."""

    make: object


@dataclass(frozen=True)
class Answer:
    """Its handler sends ``reply``."""

    reply: object


class Payload:
    """Something big, so that a weak reference tells whether it is kept."""


@handles(Begin)
def begin(effect, context, store):
    return EffectResult.wait(effect.start)


@handles(Await)
def await_it(effect, context, store):
    return effect.make()


@handles(Answer)
def answer(effect, context, store):
    return EffectResult.send(effect.reply)


@pytest.fixture
def registry():
    return EffectRegistry(begin, await_it, answer)


@pytest.fixture
def store(new_store, registry):
    return new_store(registry=registry, max_workers=1)


def never():
    yield Take("NEVER")


# What it lets go of


def test_the_variables_of_a_saga_end_with_it(store, park, ended):
    """Who keeps the task of a saga that has ended keeps nothing that it had set."""
    kept = []

    def saga():
        payload = Payload()
        kept.append(weakref.ref(payload))
        passing.set(payload)
        del payload
        yield Take("GO")

    task = park(store, saga())
    assert kept[0]() is not None
    store.dispatch(Action("GO"))
    assert ended(task) is None
    gc.collect()
    assert kept[0]() is None


def test_a_call_that_came_back_late_keeps_no_task(new_store, registry, gate, run, settle):
    """The task that was busy when its worker was set aside goes once its saga has ended."""
    late, over, tasks = gate(), gate(), []
    store = new_store(registry=registry, max_workers=1)

    def start(resume):
        tasks.append(weakref.ref(resume.task))
        resume.task.add_done_callback(lambda _: over.set())
        late.pass_through()
        return resume.next

    def slow():
        yield Begin(start)

    def outer():
        try:
            yield Timeout(slow, 0.01)
        except TimeoutError:
            return "in time"

    assert run(store, outer()) == "in time"
    late.set()
    over.pass_through()
    settle(store)
    gc.collect()
    assert [task() for task in tasks] == [None]


def test_a_wait_whose_answer_has_arrived_is_not_stopped(store, park, ended):
    """A saga that is cancelled after it has received an answer gives that one back no more."""
    waits, stopped, tasks = [], [], []

    class Kept(Wait):
        def begin(self):
            waits.append(self)

        def stop(self):
            stopped.append(self)

    def saga():
        yield Await(Kept)
        tasks[0].cancel()
        yield Answer(1)

    tasks.append(park(store, saga()))
    waits[0].send("received")
    assert ended(tasks[0]) is SagaCancelled
    assert stopped == []


# What it shares


def test_what_every_step_uses_is_shared(new_store, monkeypatch):
    """Without a GIL the interpreter is told of each of these objects."""
    told = []
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(_sharing, "_deferral", lambda: told.append)
    runner = new_store().runtime.runner
    names = ("_alive", "_stuck", "_take_lock", "_registry")
    used = [runner, *[getattr(runner, name) for name in names]]
    assert {id(each) for each in used} <= {id(each) for each in told}


# What comes in between


def test_a_saga_of_a_cancelled_context_never_takes_a_step(store, gate, monkeypatch):
    """Not even when a worker takes it before its cancellation has gone through the tree."""
    busy, over, steps, scope = gate(), gate(), [], SagaContext()
    scope.cancel_tree()
    cancel_tree = SagaTask.cancel_tree

    def slowly(task):
        task.add_done_callback(lambda _: over.set())
        busy.set()
        over.pass_through()
        cancel_tree(task)

    def saga():
        steps.append(1)
        yield Answer(1)

    store.run_saga(Begin(lambda resume: busy.pass_through() and resume.next) for _ in "1")
    with monkeypatch.context() as patch:
        patch.setattr(SagaTask, "cancel_tree", slowly)
        store.run_saga(saga(), None, scope)
    assert over.is_set()
    assert steps == []


def test_a_lock_that_is_taken_is_waited_for(store, park, ended, monkeypatch):
    """Wherever the runner finds it taken: as a saga parks, is cancelled, and ends."""
    monkeypatch.setattr(store.runtime.runner, "_take_lock", lambda: False)
    task = park(store, never())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert str(task.error) == f"{task.saga_id} was cancelled"


def test_a_fault_in_the_midst_of_an_end_is_still_an_end(store, ended, monkeypatch):
    """The saga ends with the fault, although the runner had begun to take leave of it."""
    runner = store.runtime.runner
    take_lock = runner._take_lock

    def fail_once():
        monkeypatch.setattr(runner, "_take_lock", take_lock)
        raise LookupError("the runner is broken")

    monkeypatch.setattr(runner, "_take_lock", fail_once)
    assert ended(store.run_saga(Answer(1) for _ in "1")) is LookupError


def test_a_shutdown_by_an_attached_saga_waits_for_the_one_that_forked_it(
    new_store, gate, monkeypatch
):
    """Only who waits for the caller's end is spared, and nobody waits for what was forked."""
    called, leave, over, cleaned, seen = gate(), gate(), gate(), [], []
    store = new_store(max_workers=2)
    runner = store.runtime.runner
    line_of = runner._line_of

    def line_then_leave(task):
        line = line_of(task)
        leave.set()  # not sooner: a saga that cleans up is not looked for here any more
        return line

    def forked():
        called.pass_through()
        store.shutdown()
        seen.extend(cleaned)
        over.set()
        yield Take("NEVER")

    def outer():
        try:
            yield Fork(forked, attached=True)
            yield Call(lambda: called.set() or leave.pass_through())
        finally:
            yield Delay(0.05)
            cleaned.append("cleaned")

    monkeypatch.setattr(runner, "_line_of", line_then_leave)
    store.run_saga(outer)
    over.pass_through()
    assert seen == ["cleaned"]
