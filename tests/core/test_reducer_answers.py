"""What a reducer may return: a state, ``ReducerResult``, ``Quit``, one inside the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_core import Action, Quit, ReducerResult, StateError, Store, ViewState, combine_reducers
from milo_core.results import Outcome, merge_views, unwrap, wrap

views = st.none() | st.builds(
    ViewState,
    alt_screen=st.none() | st.booleans(),
    cursor_visible=st.none() | st.booleans(),
    window_title=st.none() | st.text(max_size=2),
    mouse_mode=st.none() | st.booleans(),
)
work = st.lists(st.sampled_from("abc"), max_size=2).map(tuple)
outcomes = st.builds(
    Outcome, st.integers(), work, work, views, st.none() | st.integers(min_value=0, max_value=9)
)


def answering(answers):
    """A reducer that answers each action type with what is written down for it."""
    return lambda state, action: answers.get(action.type, state)


def test_a_result_is_taken_apart(fake_runtime):
    """State, view, sagas and commands of a ``ReducerResult`` each go where they belong."""
    view = ViewState(window_title="todo")
    answers = {"GO": ReducerResult("next", sagas=("saga",), cmds=("cmd",), view=view)}
    store = Store(answering(answers), "first", runtime=fake_runtime)
    store.dispatch(Action("GO"))
    assert store.state == "next"
    assert store.view_state is view
    assert ("start", ("saga",), ("cmd",)) in fake_runtime.notes
    assert not store.quit_requested


def test_the_view_stays_until_the_next_one():
    """``view_state`` is the latest view as it came, unmerged; answers without one keep it."""
    one, two = ViewState(alt_screen=True), ViewState(window_title="two")
    answers = {"ONE": ReducerResult(0, view=one), "TWO": Quit(0, view=two), "PLAIN": 1}
    store = Store(answering(answers), 0)
    assert store.view_state is None
    for name, expected in (("ONE", one), ("PLAIN", one), ("TWO", two), ("PLAIN", two)):
        store.dispatch(Action(name))
        assert store.view_state is expected


def test_a_quit_around_a_result_joins_both(fake_runtime):
    """Outer sagas and commands come first, the inner view wins, the code is the quit's."""
    inner = ReducerResult("s", ("inner",), ("in cmd",), ViewState(alt_screen=True))
    outer = Quit(inner, 4, ("outer",), ("out cmd",), ViewState(alt_screen=False))
    store = Store(answering({"GO": outer}), 0, runtime=fake_runtime)
    store.dispatch(Action("GO"))
    assert (store.state, store.exit_code) == ("s", 4)
    assert store.view_state == ViewState(alt_screen=True)
    assert fake_runtime.notes[-1] == ("start", ("outer", "inner"), ("out cmd", "in cmd"))


def test_of_nested_quits_the_outermost_code_wins():
    """Whoever wraps last decides the exit code."""
    assert unwrap(ReducerResult(Quit(Quit(1, code=2), code=3))).quit_code == 3
    assert unwrap(Quit(Quit(1, code=2))).quit_code == 0


@given(outcomes)
def test_wrapping_and_unwrapping_lose_nothing(outcome):
    """``unwrap(wrap(outcome))`` is the outcome, and the plainest answer is used."""
    answer = wrap(outcome)
    assert unwrap(answer) == outcome
    if outcome == Outcome(outcome.state):
        assert answer == outcome.state


@given(outcomes, outcomes)
def test_nesting_joins_in_order(outer, inner):
    """An answer wrapped in another one: outer work, then inner work; nothing is lost."""
    joined = unwrap(wrap(Outcome(wrap(inner), outer.sagas, outer.cmds, outer.view)))
    assert joined.state == inner.state
    assert joined.sagas == outer.sagas + inner.sagas
    assert joined.cmds == outer.cmds + inner.cmds
    assert joined.view == (outer.view if inner.view is None else inner.view)
    assert joined.quit_code == inner.quit_code


@given(views, views, views)
def test_views_merge_field_by_field(one, two, three):
    """A later field wins where it is set; merging is associative and ``None`` is neutral."""
    left = merge_views(merge_views(one, two), three)
    assert left == merge_views(one, merge_views(two, three))
    assert merge_views(one, None) == one == merge_views(None, one)
    for field in ("alt_screen", "cursor_visible", "window_title", "mouse_mode"):
        set_values = [
            v for v in (getattr(x, field, None) for x in (one, two, three)) if v is not None
        ]
        assert getattr(left, field, None) == (set_values[-1] if set_values else None)


def test_the_combined_quit_of_a_slice_ends_the_store(fake_runtime):
    """What slices of a combined reducer ask for reaches the store whole."""
    answers = {"GO": Quit(1, 5, sagas=("s",), view=ViewState(mouse_mode=True))}
    reducer = combine_reducers(a=answering(answers), b=answering({"GO": ReducerResult(2)}))
    store = Store(reducer, {"a": 0, "b": 0}, runtime=fake_runtime)
    store.dispatch(Action("GO"))
    assert store.state == {"a": 1, "b": 2}
    assert store.exit_code == 5
    assert store.view_state == ViewState(mouse_mode=True)
    assert fake_runtime.notes[-1] == ("start", ("s",), ())


@pytest.mark.parametrize("kind", [ReducerResult, Quit])
@pytest.mark.parametrize("name", ["sagas", "cmds"])
def test_work_may_come_as_any_iterable(kind, name):
    """Lists and generators of sagas become tuples."""
    assert getattr(kind(0, **{name: [1, 2]}), name) == (1, 2)


@pytest.mark.parametrize("kind", [ReducerResult, Quit])
def test_a_lone_saga_is_refused(kind):
    """A generator, function or ``None`` in place of a tuple names the field and the way out."""

    def saga():
        yield

    for lone in (saga, saga(), None, 3):
        with pytest.raises(TypeError, match=rf"{kind.__name__}\(sagas=...\) takes a tuple"):
            kind(0, sagas=lone)
    with pytest.raises(TypeError, match=r"write sagas=\(saga,\)"):
        kind(0, sagas=saga)


@pytest.mark.parametrize("code", [None, "1", 1.0])
def test_an_exit_code_is_a_number(code):
    """A ``Quit`` whose code is no int is refused, so that it can never be overlooked."""
    with pytest.raises(TypeError, match=r"Quit\(code=...\) takes an int"):
        Quit(0, code=code)
    store = Store(lambda s, a: Quit(s, code=code) if a.type == "END" else s, 0)
    with pytest.raises(StateError, match=r"Reducer error: TypeError: Quit\(code"):
        store.dispatch(Action("END"))


@pytest.mark.parametrize("kind", [ReducerResult, Quit])
def test_answers_are_not_for_subclassing(kind):
    """A subclass, which a store would take for a state, cannot be made."""
    with pytest.raises(TypeError, match=rf"{kind.__name__} cannot be subclassed"):
        type("Mine", (kind,), {})
