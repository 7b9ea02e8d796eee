"""``quit_on``, ``with_cursor`` and ``with_confirm`` around a reducer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_core import (
    Action,
    Key,
    Quit,
    ReducerResult,
    SpecialKey,
    ViewState,
    quit_on,
    with_confirm,
    with_cursor,
)
from milo_core.actions import INIT, KEY
from milo_core.results import unwrap

UP, DOWN = (Action(KEY, Key(name=key)) for key in (SpecialKey.UP, SpecialKey.DOWN))
ENTER = Action(KEY, Key(name=SpecialKey.ENTER))
RICH = ReducerResult({"n": 1}, ("saga",), ("cmd",), ViewState(alt_screen=True))


def press(char):
    return Action(KEY, Key(char=char))


def keep(state, action):
    """A reducer that changes nothing."""
    return state


def rich(state, action):
    return RICH


@pytest.mark.parametrize("action", [press("q"), Action(KEY, Key(name=SpecialKey.ESCAPE))])
def test_quit_on_quits_at_its_keys(action):
    """Characters and special keys both work, and the code is passed on."""
    reducer = quit_on("q", SpecialKey.ESCAPE, code=2)(keep)
    assert reducer("state", action) == Quit("state", 2)


@pytest.mark.parametrize(
    "action", [press("x"), ENTER, Action("q"), Action(KEY, "q"), Action(KEY), Action("OTHER", "q")]
)
def test_quit_on_leaves_everything_else(action):
    """Other keys and other actions pass with the reducer's own answer."""
    assert quit_on("q")(rich)({}, action) is RICH


def test_quit_on_keeps_what_the_reducer_asked_for():
    """Sagas, commands and view ride along in the ``Quit``."""
    answer = quit_on("q")(rich)({}, press("q"))
    assert answer == Quit(RICH.state, 0, RICH.sagas, RICH.cmds, RICH.view)


@pytest.mark.parametrize(
    ("wrap_around", "expected"), [(False, [0, 0, 1, 2, 2]), (True, [0, 2, 0, 1, 2])]
)
def test_the_cursor_moves_over_the_rows(wrap_around, expected):
    """↑ and ↓ move by one; at the ends the cursor stays, or goes round."""
    reducer = with_cursor("items", wrap_around=wrap_around)(keep)
    state, seen = {"items": "abc"}, []
    for action in (Action(INIT), UP, DOWN, DOWN, DOWN)[: len(expected)]:
        state = reducer(state, action)
        seen.append(state["cursor"])
    assert seen == expected


def test_the_cursor_is_there_from_the_start():
    """After ``@@INIT`` the cursor is 0, under the name that was asked for."""
    assert with_cursor("items", cursor_key="row")(keep)({"items": "ab"}, Action(INIT)) == {
        "items": "ab",
        "row": 0,
    }


def test_the_cursor_follows_shrinking_rows():
    """When the reducer removes rows, the cursor is on the last one that is left."""
    dropped = with_cursor("items")(lambda state, action: {**state, "items": "a"})
    assert dropped({"items": "abc", "cursor": 2}, Action("DROP"))["cursor"] == 0


def test_an_unmoved_cursor_changes_nothing():
    """The very state of the reducer comes back when the cursor stays where it is."""
    state = {"items": "ab", "cursor": 0}
    assert with_cursor("items")(keep)(state, UP) is state
    assert with_cursor("items")(keep)(state, Action("OTHER")) is state


def test_the_cursor_needs_a_dict():
    """A state that is no dict, for instance before it is loaded, passes as it is."""
    assert with_cursor("items")(keep)(None, DOWN) is None


@given(
    st.lists(st.sampled_from([UP, DOWN, Action("GROW"), Action("SHRINK")]), max_size=12),
    st.integers(min_value=0, max_value=3),
    st.booleans(),
)
def test_the_cursor_never_leaves_the_rows(actions, rows, wrap_around):
    """Whatever is pressed, added and removed, the cursor is a row, or 0 where there is none."""

    def resize(state, action):
        step = {"GROW": 1, "SHRINK": -1}.get(action.type, 0)
        return {**state, "items": [0] * max(0, len(state["items"]) + step)}

    reducer = with_cursor("items", wrap_around=wrap_around)(resize)
    state = {"items": [0] * rows}
    for action in actions:
        state = reducer(state, action)
        assert 0 <= state["cursor"] < max(1, len(state["items"]))


def test_the_cursor_keeps_what_the_reducer_asked_for():
    """Sagas, commands, view and quit of the wrapped reducer are passed on."""
    full = unwrap(Quit(RICH, 3))
    answer = unwrap(with_cursor("items")(lambda s, a: Quit(RICH, 3))({}, DOWN))
    assert (answer.sagas, answer.cmds, answer.view, answer.quit_code) == (
        full.sagas,
        full.cmds,
        full.view,
        3,
    )


@pytest.mark.parametrize(("keys", "action"), [((), ENTER), (("y",), press("y"))])
def test_confirming_marks_the_state_and_quits(keys, action):
    """Enter, or the keys given, set the flag and quit with the code."""
    reducer = with_confirm(*keys, confirmed_key="sure", code=1)(keep)
    assert reducer({"n": 1}, action) == Quit({"n": 1, "sure": True}, 1)


def test_confirming_leaves_other_keys():
    """Keys that confirm nothing pass; with keys given, Enter is one of them."""
    assert with_confirm()(rich)({}, press("y")) is RICH
    assert with_confirm("y")(rich)({}, ENTER) is RICH


def test_confirming_keeps_what_the_reducer_asked_for():
    """Sagas, commands and view ride along with the confirmed state."""
    answer = with_confirm()(rich)({}, ENTER)
    assert answer == Quit({"n": 1, "confirmed": True}, 0, RICH.sagas, RICH.cmds, RICH.view)


@pytest.mark.parametrize("decorator", [quit_on("q"), with_cursor("items"), with_confirm()])
def test_a_decorated_reducer_keeps_its_name(decorator):
    """The reducer's name and docstring stay readable in tracebacks."""
    assert decorator(keep).__name__ == "keep"
    assert decorator(keep).__doc__ == keep.__doc__


def test_decorators_stack():
    """All three together: the cursor moves, Enter confirms, q quits."""
    reducer = quit_on("q")(with_confirm()(with_cursor("items")(keep)))
    state = reducer({"items": "ab"}, DOWN)
    assert state == {"items": "ab", "cursor": 1}
    assert reducer(state, ENTER) == Quit({**state, "confirmed": True})
    assert reducer(state, press("q")) == Quit(state)
