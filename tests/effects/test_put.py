"""Put dispatches an action."""

import pytest

from milo_core import Action, StateError
from milo_effects import Put, Select


def test_the_state_has_changed_when_the_saga_goes_on(new_store, run):
    """``Put`` sends back ``None`` once reducer and listeners have run."""
    store, heard = new_store(), []
    store.subscribe(lambda: heard.append(store.state[-1].type))

    def saga():
        nothing = yield Put(Action("ONE", 1))
        return nothing, heard[-1], (yield Select())[-1]

    assert run(store, saga()) == (None, "ONE", Action("ONE", 1))


def test_middleware_sees_what_sagas_put(new_store, run, seen):
    """A saga's action takes the same way as any other."""

    def shout(next_dispatch, get_state):
        return lambda action: next_dispatch(Action(action.type.upper(), action.payload))

    store = new_store(middleware=(shout,))

    def saga():
        yield Put(Action("quiet", 1))

    run(store, saga())
    assert seen(store, "QUIET") == [1]


def test_a_reducer_that_fails_is_caught_at_the_yield(new_store, run):
    """The ``StateError`` is thrown into the saga; the state is as before."""

    def picky(state, action):
        if action.type == "BAD":
            raise ValueError("no")
        return (*state, action.type)

    store = new_store(picky)

    def saga():
        with pytest.raises(StateError, match="Reducer error") as caught:
            yield Put(Action("BAD"))
        yield Put(Action("GOOD"))
        return caught.value.__cause__.args

    assert run(store, saga()) == ("no",)
    assert store.state == ("@@INIT", "GOOD")


def test_a_failing_put_ends_a_saga_that_does_not_catch(new_store, ended):
    """The reducer's failure is then reported like any error of the saga."""

    def picky(state, action):
        if action.type == "BAD":
            raise ValueError("no")
        return (*state, action)

    store = new_store(picky)

    def saga():
        yield Put(Action("BAD"))

    assert ended(store.run_saga(saga())) is StateError
    (report,) = [each.payload for each in store.state if each.type == "@@SAGA_ERROR"]
    assert report["type"] == "StateError"
    assert "Reducer error" in report["error"]


def test_only_actions_can_be_put():
    """The mistake shows at construction, with what to write instead."""
    with pytest.raises(TypeError, match=r"write Put\(Action\('TYPE'\)\)"):
        Put("GO")
