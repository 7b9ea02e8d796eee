"""``Store.dispatch``: reducer, state, and what is left when a reducer fails."""

import copy
import pickle

import pytest

from milo_core import Action, Quit, ReducerResult, StateError, Store
from milo_core.actions import INIT


def count(state, action):
    return state + 1 if action.type == "ADD" else state


def failing(state, action):
    if action.type == "FAIL":
        raise action.payload
    return count(state, action)


def test_an_action_is_a_value():
    """Actions compare, hash, print, copy and pickle by type and payload, and do not change."""
    action = Action("ADD", 1)
    assert action == Action("ADD", payload=1) != Action("ADD")
    assert hash(action) == hash(Action("ADD", 1))
    assert repr(action) == "Action(type='ADD', payload=1)"
    assert copy.copy(action) == action == pickle.loads(pickle.dumps(action))
    with pytest.raises(AttributeError):
        action.type = "SUB"


def test_the_constructor_dispatches_init():
    """The reducer meets ``@@INIT`` first, with the initial state, and its answer is the state."""
    met = []

    def reducer(state, action):
        met.append((state, action))
        return "made"

    assert Store(reducer, "given").state == "made"
    assert met == [("given", Action(INIT))]


def test_the_state_has_changed_when_dispatch_returns():
    """``dispatch`` returns ``None``, and ``state`` and ``get_state()`` read what it led to."""
    store = Store(count, 0)
    assert store.dispatch(Action("ADD")) is None
    assert store.state == store.get_state() == 1


def test_the_state_is_the_very_object_that_the_reducer_returned():
    """The store neither copies nor compares states."""
    states = [object(), object()]
    store = Store(lambda state, action: states[action.type == "NEXT"], None)
    assert store.state is states[0]
    store.dispatch(Action("NEXT"))
    assert store.state is states[1]


def test_a_failing_reducer_leaves_everything_as_it_was():
    """``StateError`` chains the cause; state, recording and listeners know nothing of it."""
    store, told = Store(failing, 0, record=True), []
    store.subscribe(lambda: told.append(store.state))
    problem = ValueError("no such todo")
    with pytest.raises(StateError, match=r"^Reducer error: ValueError: no such todo") as caught:
        store.dispatch(Action("FAIL", problem))
    assert caught.value.__cause__ is problem
    assert "'FAIL'" in str(caught.value)
    assert (store.state, told, len(store.recording)) == (0, [], 1)
    store.dispatch(Action("ADD"))
    assert (store.state, told, len(store.recording)) == (1, [1], 2)


def test_a_reducer_that_fails_on_init_fails_the_constructor():
    """No store comes out of a constructor whose ``@@INIT`` the reducer cannot handle."""
    with pytest.raises(StateError, match=r"^Reducer error: KeyError: 'todos' \(on '@@INIT'\)"):
        Store(lambda state, action: state["todos"], {})


def test_an_interrupt_in_a_reducer_is_no_reducer_error():
    """``KeyboardInterrupt`` passes as it is; state unchanged, and the store works on."""
    store = Store(failing, 0)
    with pytest.raises(KeyboardInterrupt):
        store.dispatch(Action("FAIL", KeyboardInterrupt()))
    store.dispatch(Action("ADD"))
    assert store.state == 1


@pytest.mark.parametrize("given", ["ADD", {"type": "ADD"}, None, Action])
@pytest.mark.parametrize("record", [False, True], ids=["plain", "recording"])
def test_what_is_no_action_is_refused(given, record):
    """``dispatch("ADD")`` is a ``StateError`` that shows how to write the action."""
    store = Store(count, 0, record=record)
    with pytest.raises(StateError, match=r"takes an Action, .*write Action\('TYPE', payload\)"):
        store.dispatch(given)
    assert store.state == 0


def test_a_reducer_that_dispatches_is_refused():
    """A dispatch inside a reducer is a ``StateError`` that says what to write instead."""

    def reducer(state, action):
        if action.type == "NEST":
            store.dispatch(Action("ADD"))
        return count(state, action)

    store = Store(reducer, 0)
    with pytest.raises(StateError, match=r"inside a reducer .*ReducerResult"):
        store.dispatch(Action("NEST"))
    assert store.state == 0
    store.dispatch(Action("ADD"))
    assert store.state == 1


def test_a_reducer_may_survive_its_refused_dispatch():
    """A reducer that catches the ``StateError`` goes on; the store still refuses the next one."""
    refused = []

    def reducer(state, action):
        for _ in range(2 * (action.type == "NEST")):
            try:
                store.dispatch(Action("ADD"))
            except StateError as error:
                refused.append(error)
        return (state or 0) + 10

    store = Store(reducer, 0)
    store.dispatch(Action("NEST"))
    assert (store.state, len(refused)) == (20, 2)


def test_quit_sets_flag_and_code_and_the_store_works_on():
    """After ``Quit`` the flag and the code stand, dispatch works, a later ``Quit`` counts."""

    def reducer(state, action):
        return Quit(state, code=action.payload) if action.type == "END" else count(state, action)

    store = Store(reducer, 0)
    assert (store.quit_requested, store.exit_code) == (False, 0)
    store.dispatch(Action("END", 3))
    assert (store.quit_requested, store.exit_code) == (True, 3)
    store.dispatch(Action("ADD"))
    assert (store.state, store.exit_code) == (1, 3)
    store.dispatch(Action("END", 0))
    assert (store.quit_requested, store.exit_code) == (True, 0)


def test_a_store_without_sagas_is_idle_and_needs_no_runtime(no_runtime):
    """Counting, quitting, views, waiting and shutting down work without any runtime."""
    store = Store(lambda state, action: ReducerResult(state + 1), 0)
    store.dispatch(Action("ADD"))
    assert store.wait_idle() is True
    assert store.pool_active == 0
    store.shutdown()
    assert store.state == 2
