"""How the runner takes leave: callbacks that are removed, answers too many, a closing."""

from contextvars import ContextVar, copy_context
from dataclasses import dataclass

import pytest

from milo_core import Action
from milo_effects import (
    Call,
    Delay,
    EffectRegistry,
    EffectResult,
    ResumedTwiceError,
    SagaCancelled,
    Take,
    Timeout,
    handles,
)

name = ContextVar("name", default="nobody")


@dataclass(frozen=True)
class Begin:
    """Waits as its ``start`` says."""

    start: object


@handles(Begin)
def begin(effect, context, store):
    return EffectResult.wait(effect.start)


def one(effect):
    return (yield effect)


@pytest.fixture
def store(new_store):
    return new_store(registry=EffectRegistry(begin), max_workers=1)


# Callbacks


def test_a_removed_callback_is_not_called(store, park, settle):
    """The others are, in order; removing one twice, or one that is not there, is harmless."""
    called = []
    callbacks = [lambda _, n=n: called.append(n) for n in range(3)]
    task = park(store, one(Take("GO")))
    task.remove_done_callback(callbacks[1])
    for each in callbacks:
        task.add_done_callback(each)
    for _ in range(2):
        task.remove_done_callback(callbacks[1])
    store.dispatch(Action("GO"))
    settle(store)
    task.remove_done_callback(callbacks[0])
    assert called == [0, 2]


# Answers too many


SECOND = [
    lambda resume: resume.send(2),
    lambda resume: resume.throw(LookupError("second")),
    lambda resume: resume.send_later(2),
]


@pytest.mark.parametrize("second", SECOND)
def test_a_second_answer_as_the_worker_goes_on_is_raised_to_its_caller(
    store, run, monkeypatch, second
):
    """Between the start function's return and parking, the saga is as good as resumed."""
    kept, told = [], []

    def resume_twice():
        kept[0].send(1)
        with pytest.raises(ResumedTwiceError, match="resumed its saga twice"):
            second(kept[0])
        told.append(True)
        return copy_context()

    monkeypatch.setattr("milo_effects._runner.copy_context", resume_twice)

    def start(resume):
        kept.append(resume)
        return kept.clear

    def saga():
        name.set("mine")
        return (yield Begin(start))

    assert run(store, saga()) == 1
    assert told == [True]


@pytest.mark.parametrize("second", SECOND)
def test_a_second_answer_before_a_worker_takes_the_first_is_thrown_into_the_saga(
    store, gate, settle, ended, second
):
    """A saga that is still queued has not gone on: it is the one to be told."""
    busy, kept = gate(), []

    def start(resume):
        kept.append(resume)
        return kept.clear

    def saga():
        try:
            yield Begin(start)
        except ResumedTwiceError:
            return "told"

    task = store.run_saga(saga())
    settle(store)
    store.run_saga(one(Begin(lambda resume: busy.pass_through() and resume.next)))
    kept[0].send(1)
    second(kept[0])
    busy.set()
    assert ended(task) == "told"


# Closing


def test_what_comes_after_the_closing_is_closed(store, ended):
    """A saga that is started then never takes a step, and ends as closed."""
    steps = []

    def saga():
        steps.append(1)
        yield Take("NEVER")

    store.runtime.runner.close_all()
    task = store.run_saga(saga)
    assert ended(task) is SagaCancelled
    assert "closed before it had cleaned up" in str(task.error)
    assert steps == []


# Workers that were set aside


def test_shutdown_waits_for_the_cleanup_of_a_call_that_came_back_late(new_store, gate):
    """A saga whose call ran out of time is as any other again once the call has returned."""
    call, timed_out, back, cleaned = gate(), gate(), gate(), []
    store = new_store(max_workers=1)

    def slow():
        try:
            yield Call(call.pass_through)
        finally:
            yield Delay(0)
            back.set()
            yield Delay(0.05)
            cleaned.append(1)

    def outer():
        try:
            yield Timeout(slow, 0.01)
        except TimeoutError:
            yield Delay(0)  # by then the clock's thread has cancelled the other saga, too
            timed_out.set()

    store.run_saga(outer)
    timed_out.pass_through()
    call.set()
    back.pass_through()
    store.shutdown()
    assert cleaned == [1]
