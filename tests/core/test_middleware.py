"""Middleware: ``(next_dispatch, get_state) -> dispatch``, around the reducer."""

import pytest

from milo_core import Action, Store
from milo_core.actions import INIT


def journal(state, action):
    return (*state, action.type)


def noting(name, notes):
    """Middleware that notes an action on its way in and out."""

    def layer(next_dispatch, get_state):
        def dispatch(action):
            notes.append(f"{name} in {action.type}")
            next_dispatch(action)
            notes.append(f"{name} out {action.type}")

        return dispatch

    return layer


def test_the_first_is_outermost():
    """The first middleware of the tuple sees an action first, and its end last."""
    notes = []
    Store(journal, (), (noting("a", notes), noting("b", notes)))
    assert notes == ["a in @@INIT", "b in @@INIT", "b out @@INIT", "a out @@INIT"]


def test_get_state_reads_before_and_after():
    """Middleware reads the state before the reducer and the new one behind it."""
    seen = []

    def layer(next_dispatch, get_state):
        def dispatch(action):
            seen.append(get_state())
            next_dispatch(action)
            seen.append(get_state())

        return dispatch

    Store(journal, (), (layer,))
    assert seen == [(), (INIT,)]


def test_middleware_may_change_hold_back_and_repeat():
    """What middleware passes on is what the reducer gets: another action, none, or several."""

    def layer(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "HOLD":
                return
            if action.type == "TWICE":
                next_dispatch(Action("ONE"))
                next_dispatch(Action("TWO"))
                return
            next_dispatch(action)

        return dispatch

    store = Store(journal, (), (layer,))
    store.dispatch(Action("HOLD"))
    store.dispatch(Action("TWICE"))
    assert store.state == (INIT, "ONE", "TWO")


def test_middleware_may_handle_what_is_no_action():
    """A middleware can give meaning to other objects, thunks for instance."""

    def thunks(next_dispatch, get_state):
        def dispatch(action):
            next_dispatch(action(get_state()) if callable(action) else action)

        return dispatch

    store = Store(journal, (), (thunks,))
    store.dispatch(lambda state: Action(f"AFTER_{len(state)}"))
    assert store.state == (INIT, "AFTER_1")


def test_middleware_may_dispatch_again():
    """A dispatch from middleware goes through the whole chain, nested in the first."""

    def layer(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "LOGIN":
                store.dispatch(Action("LOGGED"))
            next_dispatch(action)

        return dispatch

    notes = []
    store = Store(journal, (), (noting("outer", notes), layer))
    del notes[:]
    store.dispatch(Action("LOGIN"))
    assert store.state == (INIT, "LOGGED", "LOGIN")
    assert notes == [
        "outer in LOGIN",
        "outer in LOGGED",
        "outer out LOGGED",
        "outer out LOGIN",
    ]


def test_an_error_in_middleware_reaches_the_caller_as_it_is():
    """What middleware raises comes out of ``dispatch``; the state is unchanged before ``next``."""

    def layer(next_dispatch, get_state):
        def dispatch(action):
            if action.type == "BAD":
                raise LookupError("middleware")
            next_dispatch(action)

        return dispatch

    store = Store(journal, (), (layer,))
    with pytest.raises(LookupError, match="middleware"):
        store.dispatch(Action("BAD"))
    assert store.state == (INIT,)


def test_dispatch_returns_none_whatever_middleware_returns():
    """``dispatch`` has no result, even where a middleware returns one."""

    def layer(next_dispatch, get_state):
        return lambda action: next_dispatch(action) or "a result"

    assert Store(journal, (), (layer,)).dispatch(Action("ADD")) is None


def test_a_list_of_middleware_is_copied():
    """Any iterable of middleware works, and changing it later changes nothing."""
    notes = []
    layers = [noting("a", notes)]
    store = Store(journal, (), layers)
    layers.clear()
    store.dispatch(Action("ADD"))
    assert "a in ADD" in notes
    assert Store(journal, (), iter([noting("b", notes)])).state == (INIT,)
    assert "b in @@INIT" in notes
