"""``run``: one saga without a store of one's own."""

import threading
from dataclasses import dataclass

import pytest

from milo_core import Action, StateError
from milo_effects import (
    All,
    Call,
    Delay,
    EffectRegistry,
    EffectResult,
    Fork,
    Put,
    SagaCancelled,
    Select,
    Take,
    handles,
    run,
)


@dataclass(frozen=True)
class Ping:
    """An effect of this test's own."""


@handles(Ping)
def ping(effect, context, store):
    return EffectResult.send("pong")


def test_its_result_is_returned():
    """A generator or a function that returns one runs to its end."""

    def saga():
        yield Delay(0)
        return (yield Call(int, ("5",)))

    assert (run(saga()), run(saga)) == (5, 5)


def test_its_error_is_raised():
    """What the saga fails with comes out as it is, from the saga on."""

    def saga():
        yield Delay(0)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone") as caught:
        run(saga())
    assert caught.traceback[-1].name == "saga"


def test_its_own_cancellation_is_raised():
    """A saga that raises ``SagaCancelled`` was cancelled, and ``run`` says so."""

    def saga():
        yield Delay(0)
        raise SagaCancelled("enough")

    with pytest.raises(SagaCancelled, match="enough"):
        run(saga())


def test_the_store_effects_work():
    """Actions reach who takes them, and there is no state to select."""

    def answer():
        yield Take("ASK")
        yield Put(Action("ANSWER", 42))

    def ask():
        yield Put(Action("ASK"))
        return (yield Take("ANSWER")).payload, (yield Select())

    def saga():
        _, answers = yield All((answer(), ask()))
        return answers

    assert run(saga(), max_workers=1) == (42, None)


def test_handlers_can_be_given():
    """A registry of one's own serves effects of one's own."""

    def saga():
        return (yield Ping())

    assert run(saga(), registry=EffectRegistry(ping)) == "pong"


def test_nothing_is_left_behind():
    """Sagas that still run are cancelled and have cleaned up, and every thread has ended."""
    ended = []

    def forked():
        try:
            yield Take("NEVER")
        finally:
            yield Call(ended.append, ("cleaned up",))

    def saga():
        yield Fork(forked)
        yield Fork(forked, attached=True)
        yield Delay(0.001)

    before = set(threading.enumerate())
    run(saga())
    assert ended == ["cleaned up"] * 2
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("wrong", [5, None, "saga", int])
def test_what_is_no_saga_is_refused(wrong):
    """The error says what a saga is."""
    with pytest.raises(StateError, match="a saga is a generator"):
        run(wrong)
