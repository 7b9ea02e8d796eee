"""What the store says when something is refused, fails or is dropped, word for word."""

import logging
import sys
import threading
import weakref

import pytest

from milo_core import Action, Cmd, ReducerResult, StateError, Store, _sharing
from milo_core._sharing import share_parts
from milo_core.journal import Mark
from milo_core.store import _ANSWERS


def keep(state, action):
    """A reducer that changes nothing."""
    return state


def saga():
    yield


@pytest.fixture
def said(caplog):
    """``said()``: level and text of what the store has logged."""
    caplog.set_level(logging.DEBUG, logger="milo_core.store")
    return lambda: [(each.levelname, each.getMessage()) for each in caplog.records]


def test_a_listener_that_cannot_be_called_is_named():
    """The error says that a listener is given nothing, and what was given."""
    with pytest.raises(TypeError) as caught:
        Store(keep, 0).subscribe(5)
    assert str(caught.value) == "listener must be a function of (), was given 5"


def test_a_runtime_that_cannot_be_called_is_named():
    """The error says that a factory is given the host, and what was given in its place."""
    with pytest.raises(TypeError) as caught:
        Store(keep, 0, runtime=5)
    assert str(caught.value) == "runtime must be a function of (host), was given 5"


def test_a_wrong_name_among_what_threads_share_is_named():
    """Whether or not the interpreter has a GIL, under which nothing comes of sharing."""
    with pytest.raises(AttributeError, match="no_such_part"):
        share_parts(Store(keep, 0), "_journal", "no_such_part")


def test_what_every_dispatch_uses_is_shared(monkeypatch):
    """Without a GIL the interpreter is told of each of these objects."""
    told = []
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(_sharing, "_deferral", lambda: told.append)
    store = Store(keep, 0)
    names = ("_journal", "_entry", "_acquire", "_release", "_holds_lock")
    used = [store, store._host.put, _ANSWERS, *[getattr(store, name) for name in names]]
    assert {id(each) for each in used} <= {id(each) for each in told}


def test_the_log_names_the_listener_that_raised(said):
    """By its ``repr``, which tells where to look."""
    store = Store(keep, 0)

    def broken():
        raise LookupError

    store.subscribe(broken)
    store.dispatch(Action("GO"))
    assert said() == [("ERROR", f"listener {broken!r} raised")]


def test_what_a_shut_down_store_does_not_start_is_logged(fake_runtime, said):
    """A warning counts the sagas and commands that a reducer has asked for in vain."""

    def reducer(state, action):
        if action.type == "GO":
            return ReducerResult(state, sagas=(saga, saga), cmds=(Cmd(list),))
        return state

    store = Store(reducer, 0, runtime=fake_runtime)
    store.shutdown()
    store.dispatch(Action("GO"))
    text = "the store is shut down: 2 sagas and 1 commands were not started"
    assert said() == [("WARNING", text)]


def test_a_dispatch_from_inside_a_reducer_is_told_what_to_write():
    """The error names the action and the way to have something happen next."""
    told = []

    def reducer(state, action):
        if action.type == "GO":
            with pytest.raises(StateError) as caught:
                store.dispatch(Action("NESTED"))
            told.append(str(caught.value))
        return state

    store = Store(reducer, 0)
    store.dispatch(Action("GO"))
    (text,) = told
    assert text == (
        f"{Action('NESTED')!r} was dispatched from inside a reducer or Take predicate; return "
        "ReducerResult(state, sagas=..., cmds=...) to have something happen next"
    )


def test_what_is_no_action_is_named():
    """The error says what was given and what to write."""
    with pytest.raises(StateError) as caught:
        Store(keep, 0).dispatch("ADD")
    assert str(caught.value) == (
        "dispatch takes an Action, was given 'ADD'; write Action('TYPE', payload)"
    )


def test_a_reducers_error_is_told_with_the_action():
    """Class and message of the cause, and on which action; the cause is kept."""

    def reducer(state, action):
        return state if action.type == "@@INIT" else 1 / 0

    with pytest.raises(StateError) as caught:
        Store(reducer, 0).dispatch(Action("GO"))
    assert str(caught.value) == "Reducer error: ZeroDivisionError: division by zero (on 'GO')"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("used", [False, True])
def test_a_saga_that_comes_too_late_is_told_so(fake_runtime, used):
    """Whether or not the store ever had a runtime."""
    store = Store(keep, 0, runtime=fake_runtime)
    if used:
        assert store.runtime is fake_runtime
    store.shutdown()
    with pytest.raises(StateError) as caught:
        store.run_saga(saga)
    assert str(caught.value) == "this store has been shut down and runs no more sagas"


def test_waiting_and_shutting_down_inside_a_reducer_say_what_to_do():
    """Both would wait for the reducer that calls them; the errors say where to call them."""
    told = []
    waiting = (
        "wait_idle was called from inside a reducer or listener, which sagas wait for; "
        "call it from the thread that owns the store"
    )
    shutting_down = (
        "shutdown was called from inside a reducer; return Quit(state) and shut the "
        "store down where it is used"
    )

    def reducer(state, action):
        for forbidden in () if action.type == "@@INIT" else (store.wait_idle, store.shutdown):
            with pytest.raises(StateError) as caught:
                forbidden()
            told.append(str(caught.value))
        return state

    store = Store(reducer, 0)
    store.dispatch(Action("GO"))
    assert told == [waiting, shutting_down]


def test_a_put_that_middleware_keeps_leaves_nothing_behind(fake_runtime):
    """Its mark is not kept for an action that never comes through."""

    class WatchedMark(Mark):
        """A mark that can be seen to be gone."""

    def selective(next_dispatch, get_state):
        return lambda action: None if action.type == "KEPT" else next_dispatch(action)

    store = Store(keep, 0, (selective,), runtime=fake_runtime)
    assert store.runtime is fake_runtime
    mark = WatchedMark()
    gone = weakref.ref(mark)
    fake_runtime.host.put(Action("KEPT"), mark)
    mark.node = None
    del mark
    store.dispatch(Action("THROUGH"))
    assert gone() is None


def test_the_thread_that_shuts_down_for_a_listener_has_a_name(fake_runtime):
    """Whoever looks at the threads sees what it is for."""
    names, over = [], threading.Event()

    def note():
        names.append(threading.current_thread().name)
        over.set()

    fake_runtime.shutdown = note
    store = Store(keep, 0, runtime=fake_runtime)
    assert store.runtime is fake_runtime
    store.subscribe(store.shutdown)
    store.dispatch(Action("QUIT"))
    assert over.wait(60)
    assert names == ["milo-shutdown"]


def test_ctrl_c_before_a_dispatch_has_the_lock_is_logged(monkeypatch, said):
    """Quietly: it comes out of ``dispatch``, and there was no lock to give back."""

    def interrupt(lock):
        raise KeyboardInterrupt

    store = Store(keep, 0)
    with monkeypatch.context() as patch:
        patch.setattr(store, "_acquire", lambda: False)
        patch.setattr("milo_core.store.wait_for", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.dispatch(Action("NEVER"))
    assert said() == [("DEBUG", "Ctrl-C came while this thread waited for the store's lock")]
