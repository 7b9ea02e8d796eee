"""``combine_reducers``: one reducer per slice of a dict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_core import Action, Quit, ReducerResult, StateError, Store, ViewState, combine_reducers
from milo_core.results import unwrap


def count(state, action):
    return (state or 0) + (action.type == "ADD")


def letters(state, action):
    return (state or "") + action.payload if action.type == "LETTER" else state or ""


def keep(state, action):
    return state


def test_each_reducer_manages_its_slice():
    """A slice sees only its own state; the dict before is left as it was."""
    reducer, before = combine_reducers(n=count, text=letters), {"n": 1, "text": "x"}
    assert reducer(before, Action("LETTER", "y")) == {"n": 1, "text": "xy"}
    assert before == {"n": 1, "text": "x"}


def test_the_same_dict_comes_back_when_nothing_changed():
    """Without a change the answer is the very dict that was given."""
    state = {"n": 1, "text": "x"}
    assert combine_reducers(n=count, text=letters)(state, Action("OTHER")) is state


def test_unknown_keys_are_dropped():
    """Keys without a reducer go at the first action, even when no slice changed."""
    state = {"n": 1, "stale": 2}
    assert combine_reducers(n=count)(state, Action("OTHER")) == {"n": 1}
    assert state == {"n": 1, "stale": 2}


@pytest.mark.parametrize("initial", [None, {}])
def test_missing_slices_start_as_none(initial):
    """With no state at all, each reducer makes its own from ``None``."""
    assert Store(combine_reducers(n=count, text=letters), initial).state == {"n": 0, "text": ""}


def test_keys_come_in_the_order_of_the_keywords():
    """The order of the new dict does not depend on the old one."""
    reducer = combine_reducers(b=count, a=count)
    assert list(reducer({"a": 1, "b": 1}, Action("ADD"))) == ["b", "a"]


def test_sagas_commands_and_views_are_collected_in_order():
    """Work is joined in keyword order, views are merged field by field."""
    one = ReducerResult(1, ("s1",), ("c1",), ViewState(alt_screen=True, window_title="one"))
    two = ReducerResult(2, ("s2",), ("c2",), ViewState(window_title="two"))
    answer = combine_reducers(a=lambda s, a: one, b=lambda s, a: two)({}, Action("GO"))
    assert answer == ReducerResult(
        {"a": 1, "b": 2},
        ("s1", "s2"),
        ("c1", "c2"),
        ViewState(alt_screen=True, window_title="two"),
    )


def test_the_last_of_several_quits_decides_the_code():
    """A later quit's code wins, a later plain answer changes nothing."""
    quit_1, quit_2 = (lambda s, a: Quit(s, code=1)), (lambda s, a: Quit(s, code=2))
    answer = combine_reducers(a=quit_1, b=quit_2, c=keep)({}, Action("GO"))
    assert answer == Quit({"a": None, "b": None, "c": None}, code=2)


def test_a_quit_around_a_result_is_joined():
    """A slice may nest its answers like any reducer."""
    nested = Quit(ReducerResult(1, ("inner",)), sagas=("outer",))
    answer = unwrap(combine_reducers(a=lambda s, a: nested)({}, Action("GO")))
    assert (answer.state, answer.sagas) == ({"a": 1}, ("outer", "inner"))


def test_combined_reducers_can_be_combined():
    """A combined reducer is a slice like any other, at any depth."""
    reducer = combine_reducers(inner=combine_reducers(n=count), text=letters)
    state = reducer(None, Action("ADD"))
    assert state == {"inner": {"n": 1}, "text": ""}
    assert reducer(state, Action("OTHER")) is state


@given(st.dictionaries(st.sampled_from("abcd"), st.integers()), st.booleans())
def test_slices_do_not_depend_on_each_other(state, add):
    """Combining any reducers is the same as running each on its slice."""
    reducers = {"a": count, "b": letters, "c": lambda s, a: 7}
    action = Action("ADD" if add else "OTHER")
    expected = {name: reducer(state.get(name), action) for name, reducer in reducers.items()}
    assert combine_reducers(**reducers)(state, action) == expected


def test_a_slice_without_a_function_is_named_at_once():
    """A keyword that is no function is refused when the reducer is built, by name."""
    with pytest.raises(TypeError, match=r"todos.* must be a function .* was given \[\]"):
        combine_reducers(n=count, todos=[])


def test_a_state_that_is_no_dict_is_named():
    """A combined reducer on a list says that it manages a dict."""
    with pytest.raises(
        StateError, match=r"TypeError: .*dict state with the keys n, was given \[\]"
    ):
        Store(combine_reducers(n=count), [])
