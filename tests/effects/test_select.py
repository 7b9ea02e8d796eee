"""Select reads the state."""

import pytest

from milo_core import Action
from milo_effects import Put, Select


def test_the_whole_state_or_a_part_of_it(new_store, run):
    """Without a selector the state itself is sent back, with one what it returns."""
    store = new_store(lambda state, action: state, {"n": 1})

    def saga():
        return (yield Select()), (yield Select(lambda state: state["n"]))

    whole, part = run(store, saga())
    assert whole is store.state
    assert part == 1


def test_the_state_is_the_one_at_that_moment(new_store, run):
    """A ``Put`` before is seen, for every ``Select`` reads anew."""
    store = new_store(lambda state, action: state + (action.type == "ADD"), 0)

    def saga():
        before = yield Select()
        yield Put(Action("ADD"))
        return before, (yield Select())

    assert run(store, saga()) == (0, 1)


def test_a_selector_that_fails_is_caught_at_the_yield(new_store, run):
    """Its error is thrown into the saga."""

    def saga():
        with pytest.raises(KeyError):
            yield Select(lambda state: {}["missing"])
        return "went on"

    assert run(new_store(), saga()) == "went on"
