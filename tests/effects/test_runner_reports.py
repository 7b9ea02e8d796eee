"""What the runner logs and throws, word for word, and with which facts."""

import logging
from dataclasses import dataclass

import pytest

from milo_core import Action, StateError
from milo_effects import (
    EffectRegistry,
    EffectResult,
    HandlerError,
    SagaCancelled,
    SagaContext,
    Take,
    Wait,
    handles,
)
from milo_effects._runner import not_a_saga


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
    """Its handler returns ``reply``."""

    reply: object


@handles(Begin)
def begin(effect, context, store):
    return EffectResult.wait(effect.start)


@handles(Await)
def await_it(effect, context, store):
    return effect.make()


@handles(Answer)
def answer(effect, context, store):
    return effect.reply


def one(effect):
    return (yield effect)


def never():
    yield Take("NEVER")


class Stubborn(Wait):
    """A wait that cannot be stopped."""

    def begin(self):
        """Begin nothing: what is tested is the end."""

    def stop(self):
        raise ValueError("cannot stop")


@pytest.fixture
def store(new_store):
    return new_store(registry=EffectRegistry(begin, await_it, answer), max_workers=1)


@pytest.fixture
def said(caplog):
    """``said()``: level, text and facts of what the runner has logged, and the error's class."""
    caplog.set_level(logging.DEBUG, logger="milo_effects._runner")

    def records():
        return [
            (each.levelname, each.msg, each.args, each.exc_info and each.exc_info[0])
            for each in caplog.records
            if each.name == "milo_effects._runner"
        ]

    return records


# The log


def test_a_late_answer_is_logged_with_its_saga(store, park, ended, said, caplog):
    """Quietly, for it is no mistake; the record carries the saga's id for a log's filter."""
    waits = []

    class Kept(Wait):
        def begin(self):
            waits.append(self)

    task = park(store, one(Await(Kept)))
    waits[0].send(1)
    assert ended(task) == 1
    waits[0].send(2)
    assert said() == [("DEBUG", "late answer to %s dropped", (task,), None)]
    assert caplog.records[-1].milo_saga_id == task.saga_id


def test_a_wait_that_was_over_and_raises_is_logged_as_an_error(store, ended, settle, said):
    """The saga has its answer, so the log is the only place for it."""

    def start(resume):
        resume.send(5)
        raise ValueError("afterwards")

    assert ended(store.run_saga(one(Begin(start)))) == 5
    settle(store)
    assert said() == [("ERROR", "a wait that was over raised", (), ValueError)]


def test_a_wait_that_was_over_and_raises_has_no_way_to_stop(store, settle, reports, said):
    """When its saga is cancelled before it gets the answer, nothing is called to give it back."""
    scope = SagaContext()

    def start(resume):
        resume.send(5)
        scope.cancel_tree()
        raise ValueError("afterwards")

    store.run_saga(one(Begin(start)), None, scope)
    settle(store)
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert [text for _, text, *_ in said()] == ["a wait that was over raised"]


@pytest.mark.parametrize("closed", [False, True])
def test_a_stop_that_raises_is_logged_with_its_saga(
    store, new_store, park, settle, ended, said, closed
):
    """Whether the saga is cancelled or closed."""
    task = park(store, one(Await(Stubborn)))
    if closed:
        new_store.runtime(store).runner.close_all()
    else:
        task.cancel()
    assert ended(task) is SagaCancelled
    settle(store)
    assert said() == [("ERROR", "stopping what %s waited for raised", (task,), ValueError)]


def test_a_callback_that_raises_is_logged_with_its_saga(store, park, settle, said):
    """The record says whose callback it was."""

    def fail(task):
        raise LookupError("callback")

    task = park(store, one(Take("GO")))
    task.add_done_callback(fail)
    store.dispatch(Action("GO"))
    settle(store)
    assert said() == [("ERROR", "a callback of %s raised", (task,), LookupError)]


def test_a_report_that_is_refused_is_logged_with_the_action(new_store, park, settle, said):
    """So the log has all that could not be dispatched."""

    def refuse(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "@@SAGA_CANCELLED":
                raise LookupError("refused")
            next_dispatch(action)

        return dispatch

    store = new_store(middleware=(refuse,))
    task = park(store, never())
    task.cancel()
    settle(store)
    report = Action("@@SAGA_CANCELLED", {"saga_id": task.saga_id})
    text = "cannot dispatch the end of %s: %s"
    assert said() == [("ERROR", text, (task, report), LookupError)]


def test_a_saga_that_cannot_be_run_is_logged_as_critical(store, ended, settle, said, monkeypatch):
    """A fault of the runner itself ends the saga, and the record says which."""

    def fault(task, variables):
        raise LookupError("the runner is broken")

    monkeypatch.setattr(store.runtime.runner.scheduler, "_run", fault)
    task = store.run_saga(never())
    assert ended(task) is LookupError
    settle(store)
    assert said() == [("CRITICAL", "running saga %s failed", (task.saga_id,), LookupError)]


@pytest.mark.parametrize(
    ("source", "error"), [(lambda: 5, StateError), (lambda: 1 / 0, ZeroDivisionError)]
)
def test_a_saga_that_never_began_is_no_fault_of_the_runner(
    store, ended, settle, reports, said, source, error
):
    """It is dispatched as the saga's error, once, and the log has nothing to add."""
    assert ended(store.run_saga(source)) is error
    settle(store)
    assert reports(store) == [("@@SAGA_ERROR", error.__name__)]
    assert said() == []


# What is thrown


def test_a_cancelled_saga_is_named_in_its_error(store, park, ended):
    """Whether it waited, had not begun, or ended by returning from its cancellation."""

    def forgiving():
        try:
            yield Take("NEVER")
        except SagaCancelled as error:
            return str(error)

    def thrown():
        try:
            yield Take("NEVER")
        except SagaCancelled as error:
            seen.append(str(error))
            raise

    seen = []
    for saga in (forgiving, thrown):
        task = park(store, saga())
        task.cancel()
        assert ended(task) is SagaCancelled
        assert str(task.error) == f"{task.saga_id} was cancelled"
    assert seen == [str(task.error)]


def test_a_saga_cancelled_before_it_began_is_named_in_its_error(store, gate, ended):
    """It never ran, and its error still says which it was."""
    busy = gate()
    store.run_saga(one(Begin(lambda resume: busy.pass_through() and resume.next)))
    task = store.run_saga(never())
    task.cancel()
    busy.set()
    assert ended(task) is SagaCancelled
    assert str(task.error) == f"{task.saga_id} was cancelled"


def test_a_closed_saga_is_named_in_its_error(store, new_store, park, ended):
    """The error says that there was no time to clean up."""
    task = park(store, never())
    new_store.runtime(store).runner.close_all()
    assert ended(task) is SagaCancelled
    assert str(task.error) == f"{task.saga_id} was closed before it had cleaned up"


@pytest.mark.parametrize("reply", [5, EffectResult("dance"), EffectResult("throw", error=5)])
def test_a_handlers_nonsense_is_shown(store, run, reply):
    """The error carries the effect and what its handler returned."""
    effect = Answer(reply)

    def saga():
        with pytest.raises(HandlerError) as caught:
            yield effect
        return caught.value

    error = run(store, saga())
    assert error.effect is effect
    assert error.answer is reply
    assert repr(reply) in str(error)


def test_a_starts_nonsense_is_shown(store, run):
    """The error carries the effect and what its start function returned."""
    effect = Begin(lambda resume: "no function")

    def saga():
        with pytest.raises(HandlerError) as caught:
            yield effect
        return caught.value

    error = run(store, saga())
    assert error.effect is effect
    assert error.answer == "no function"
    assert "'no function'" in str(error)


def test_what_makes_no_saga_is_named():
    """By its name where it has one, by itself otherwise, and with what it gave."""

    class Maker:
        def __repr__(self):
            return "<a maker>"

    def make():
        """Make no saga."""

    for source, name in ((make, "make"), (Maker(), "<a maker>")):
        error = not_a_saga(source, 5)
        assert isinstance(error, StateError)
        assert str(error) == (
            f"a saga is a generator, or a function that returns one; {name} is {source!r} and "
            "gave 5. Does it yield its effects?"
        )


def test_a_kept_error_holds_no_frame_of_the_runner(store, park, settle):
    """A failed saga's traceback begins in the saga, that of a cancelled one is empty."""

    def failing():
        yield Take("GO")
        raise LookupError("failed")

    failed, cancelled = park(store, failing()), park(store, never())
    store.dispatch(Action("GO"))
    cancelled.cancel()
    settle(store)
    assert failed.error.__traceback__.tb_frame.f_code is failing.__code__
    assert cancelled.error.__traceback__ is None


def test_an_unspeakable_error_is_dispatched_with_the_reason(store, ended):
    """Where the saga's error has no text, the report says what became of it."""

    class Unspeakable(Exception):
        def __str__(self):
            raise LookupError("no words")

    def saga():
        raise Unspeakable
        yield

    task = store.run_saga(saga())
    assert ended(task) is Unspeakable
    assert store.state[-1] == Action(
        "@@SAGA_ERROR",
        {
            "error": "(its message cannot be shown: LookupError)",
            "type": "Unspeakable",
            "saga_id": task.saga_id,
        },
    )
