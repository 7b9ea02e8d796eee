"""All collects every result."""

import threading

import pytest

from milo_core import Action, StateError
from milo_effects import (
    All,
    Call,
    ChildCancelledError,
    Delay,
    Put,
    Race,
    SagaCancelled,
    Select,
    Take,
)


def after(seconds, value):
    yield Delay(seconds)
    return value


def broken(error=ValueError):
    yield Delay(0)
    raise error("broken")


def never():
    yield Take("NEVER")


def test_results_come_in_the_order_of_the_sagas(new_store, run, left):
    """Whoever ends first: the tuple is in the given order."""
    store = new_store(max_workers=2)

    def saga():
        return (yield All((after(0.02, "a"), lambda: after(0, "b"), Select(len), Call(int))))

    assert run(store, saga()) == ("a", "b", 1, 0)
    assert left(store) == {}


@pytest.mark.parametrize("sagas", [(), []])
def test_nothing_gives_the_empty_tuple(new_store, run, sagas):
    """There is nothing to wait for."""

    def saga():
        return (yield All(sagas))

    assert run(new_store(), saga()) == ()


def test_they_run_at_the_same_time(new_store, run, hangs):
    """Two calls that wait for each other both return."""
    store, meeting = new_store(max_workers=2), threading.Barrier(2)

    def saga():
        return (yield All((Call(meeting.wait, (hangs,)), Call(meeting.wait, (hangs,)))))

    assert sorted(run(store, saga())) == [0, 1]


def test_the_first_error_is_thrown_once_the_others_have_ended(new_store, run, left, reports):
    """The others are cancelled, clean up, and are not reported."""
    store, order = new_store(max_workers=1), []

    def other():
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0.001)
            order.append("cleaned")

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield All((other(), broken(), other()))
        return list(order)

    assert run(store, saga()) == ["cleaned", "cleaned"]
    assert reports(store) == []
    assert left(store) == {}


def test_a_second_error_is_reported(new_store, run, reports):
    """Only one can be thrown; the other is dispatched."""
    store = new_store(max_workers=1)

    def other():
        try:
            yield Take("NEVER")
        finally:
            raise LookupError("cleanup")

    def saga():
        with pytest.raises(ValueError, match="broken"):
            yield All((other(), broken()))

    run(store, saga())
    assert reports(store) == [("@@SAGA_ERROR", "LookupError")]


def test_a_cancelled_child_has_no_result(new_store, park, settle, hangs):
    """Somebody else's cancellation of a child is an error of its own kind."""
    store = new_store()

    def saga():
        with pytest.raises(ChildCancelledError, match="was cancelled"):
            yield All((never(), Delay(60)))
        return "went on"

    task = park(store, saga())
    min(task._members, key=lambda each: each._id).cancel()
    assert task.result(hangs) == "went on"


def test_cancelling_the_parent_is_no_error(new_store, park, ended, reports, left):
    """Children end first, then the parent cleans up; one report."""
    store, order = new_store(), []

    def child():
        try:
            yield Take("NEVER")
        finally:
            yield Put(Action("CLEANING"))
            order.append("child")

    def saga():
        try:
            yield All((child(), child()))
        finally:
            order.append("parent")

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert order == ["child", "child", "parent"]
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert left(store) == {}


@pytest.mark.parametrize("sagas", ["text", 5, None, (5,)])
def test_anything_but_a_tuple_of_sagas_is_an_error(new_store, run, sagas):
    """The error can be caught at the yield."""

    def saga():
        with pytest.raises(StateError):
            yield All(sagas)
        return "went on"

    assert run(new_store(), saga()) == "went on"


def test_deep_nesting_needs_no_threads(new_store, run, left):
    """Ten levels of All in Race in All run on one worker."""
    store = new_store(max_workers=1)

    def tree(depth):
        if depth == 0:
            yield Delay(0)
            return 1
        left_sum, right = yield All((tree(depth - 1), Race((lambda: tree(depth - 1),))))
        return left_sum + right

    assert run(store, tree(7)) == 128
    assert left(store) == {}


def test_thousands_of_children(new_store, run, left):
    """Five thousand at once, in order."""
    store = new_store(max_workers=4)

    def saga():
        return (yield All(tuple(after(0, n) for n in range(5000))))

    assert run(store, saga()) == tuple(range(5000))
    assert left(store) == {}
