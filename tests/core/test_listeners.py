"""``Store.subscribe``: who is called after a dispatch, and when the list of them changes."""

import logging

import pytest

from milo_core import Action, ReducerResult, Store


def count(state, action):
    return state + 1 if action.type == "ADD" else state


def test_a_listener_sees_the_new_state():
    """Listeners run before ``dispatch`` returns, without arguments, once per dispatch."""
    store, seen = Store(count, 0), []
    store.subscribe(lambda: seen.append(store.state))
    store.dispatch(Action("ADD"))
    store.dispatch(Action("ADD"))
    assert seen == [1, 2]


def test_listeners_hear_of_dispatches_that_change_nothing():
    """A dispatch is told also when the state is what it was."""
    store, told = Store(count, 0), []
    store.subscribe(lambda: told.append(True))
    store.dispatch(Action("NOTHING"))
    assert told == [True]


def test_listeners_run_in_order_of_subscription():
    """First subscribed, first called; the same function twice is called twice."""
    store, called = Store(count, 0), []
    one, two = (lambda: called.append(1)), (lambda: called.append(2))
    for listener in (one, two, one):
        store.subscribe(listener)
    store.dispatch(Action("ADD"))
    assert called == [1, 2, 1]


def test_unsubscribing_twice_is_harmless():
    """Each subscription ends by itself, once, and returns ``None`` every time."""
    store, called = Store(count, 0), []
    listener = lambda: called.append(True)  # noqa: E731  # one function, subscribed twice
    leave, _ = store.subscribe(listener), store.subscribe(listener)
    assert leave() is None
    assert leave() is None
    store.dispatch(Action("ADD"))
    assert called == [True]


def test_changes_of_the_list_count_from_the_next_dispatch():
    """A listener that subscribes one and drops another leaves the present round as it is."""
    store, called = Store(count, 0), []

    def changing():
        called.append("changing")
        leave_changing()
        leave_last()
        store.subscribe(lambda: called.append("new"))

    leave_changing = store.subscribe(changing)
    leave_last = store.subscribe(lambda: called.append("last"))
    store.dispatch(Action("ADD"))
    assert called == ["changing", "last"]
    store.dispatch(Action("ADD"))
    assert called == ["changing", "last", "new"]


def test_a_listener_may_dispatch():
    """A dispatch from a listener is nested: all listeners hear of it before the round goes on."""
    store, called = Store(count, 0), []

    def first():
        called.append(("first", store.state))
        if store.state == 1:
            store.dispatch(Action("ADD"))

    store.subscribe(first)
    store.subscribe(lambda: called.append(("second", store.state)))
    store.dispatch(Action("ADD"))
    assert called == [("first", 1), ("first", 2), ("second", 2), ("second", 2)]


def test_a_listener_that_raises_stops_nothing(caplog):
    """Its error is logged with the traceback; the other listeners run, dispatch returns."""
    store, called = Store(count, 0), []

    def broken():
        raise RuntimeError("listener is broken")

    store.subscribe(broken)
    store.subscribe(lambda: called.append(store.state))
    with caplog.at_level(logging.ERROR, logger="milo_core.store"):
        store.dispatch(Action("ADD"))
    assert called == [1]
    (record,) = caplog.records
    assert "broken" in record.message
    assert str(record.exc_info[1]) == "listener is broken"


def test_an_interrupt_in_a_listener_reaches_the_caller(fake_runtime):
    """``KeyboardInterrupt`` comes out of ``dispatch``; the sagas asked for start all the same."""

    def reducer(state, action):
        return ReducerResult(state, sagas=(iter,)) if action.type == "GO" else state

    def interrupted():
        raise KeyboardInterrupt

    store = Store(reducer, 0, runtime=fake_runtime)
    leave = store.subscribe(interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.dispatch(Action("GO"))
    assert ("start", (iter,), ()) in fake_runtime.notes
    leave()
    store.dispatch(Action("NEXT"))


@pytest.mark.parametrize("given", [None, "listener", 5])
def test_what_cannot_be_called_cannot_subscribe(given):
    """``subscribe`` refuses at once what every dispatch would fail to call."""
    with pytest.raises(TypeError, match=r"listener must be a function .* was given"):
        Store(count, 0).subscribe(given)
