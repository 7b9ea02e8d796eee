"""Keys over a run: selecting, expanding, scrolling, following, quitting."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from milo_core import Action, Cmd, Key, Quit, ReducerResult, SpecialKey, ViewState
from milo_pipeline import (
    Phase,
    PhaseLog,
    PhaseStatus,
    Pipeline,
    PipelineState,
    PipelineViewState,
    actions,
    make_detail_reducer,
)

PIPELINE = Pipeline("p", *(Phase(name, print) for name in "abc"))


def view_of(lines=10, names="abc", **fields):
    logs = tuple(PhaseLog(str(n)) for n in range(lines))
    pipeline = PipelineState("p", tuple(PhaseStatus(name, "running", logs=logs) for name in names))
    return PipelineViewState(pipeline, **{"log_height": 4} | fields)


def press(view, *keys, reducer=None):
    reducer = reducer or make_detail_reducer(PIPELINE.build_reducer())
    for key in keys:
        pressed = key if isinstance(key, Key) else None
        if pressed is None:
            pressed = Key(char=key) if len(key) == 1 else Key(name=SpecialKey[key])
        view = reducer(view, Action("@@KEY", pressed))
    return view


def shown(view):
    return view.expanded, view.log_scroll, view.auto_follow


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        (["DOWN"], 1),
        (["DOWN", "DOWN"], 2),
        (["DOWN"] * 5, 2),
        (["UP"], 0),
        (["DOWN", "DOWN", "UP"], 1),
    ],
)
def test_up_and_down_select(keys, selected):
    """The selection moves with the arrows and stops at the first and last phase."""
    assert press(view_of(), *keys).selected_phase == selected


def test_a_selection_beyond_the_end_is_brought_back():
    """A view made with a selection that no phase has gets one that exists."""
    assert press(view_of(selected_phase=99), "DOWN").selected_phase == 2
    assert press(view_of(selected_phase=99), "ENTER").selected_phase == 2
    assert press(view_of(selected_phase=-5), "ENTER").selected_phase == 0


@pytest.mark.parametrize("key", ["ENTER", " "])
def test_enter_and_space_expand_and_collapse(key):
    """Either shows the lines of the selected phase, following the last ones, and goes back."""
    expanded = press(view_of(), key)
    assert shown(expanded) == (True, 6, True)
    assert press(expanded, key).expanded is False


def test_expanding_without_following_shows_the_top():
    """Where following is off, the lines are shown from the first on."""
    assert shown(press(view_of(auto_follow=False, log_scroll=3), "ENTER")) == (True, 0, False)


def test_escape_goes_back_before_it_quits():
    """Esc leaves the lines first and quits from the overview."""
    view = press(view_of(expanded=True), "ESCAPE")
    assert view.expanded is False
    assert press(view, "ESCAPE") == Quit(view)


@pytest.mark.parametrize("expanded", [False, True])
def test_q_quits_from_anywhere(expanded):
    """q is a Quit around the view as it is."""
    view = view_of(expanded=expanded)
    assert press(view, "q") == Quit(view)


@pytest.mark.parametrize(
    ("keys", "scroll", "follow"),
    [
        (["UP"], 5, False),
        (["UP"] * 20, 0, False),
        (["UP", "UP", "DOWN"], 5, False),
        (["UP", "DOWN", "DOWN", "DOWN"], 6, False),
        (["DOWN"], 6, True),
        (["g"], 0, False),
        (["HOME"], 0, False),
        (["g", "G"], 6, False),
        (["HOME", "END"], 6, False),
        (["G"], 6, False),
        (["f"], 6, False),
        (["g", "f"], 6, True),
    ],
)
def test_keys_scroll_the_lines(keys, scroll, follow):
    """Ten lines, four in sight: where each key leads and whether the last lines are followed."""
    view = press(view_of(), "ENTER", *keys)
    assert shown(view) == (True, scroll, follow)


def test_fewer_lines_than_fit_do_not_scroll():
    """With less to show than there is room for, the first line stays at the top."""
    assert press(view_of(lines=3), "ENTER", "DOWN", "G").log_scroll == 0


@pytest.mark.parametrize(
    "payload",
    [
        Key(char="x"),
        Key(char="q", ctrl=True),
        Key(char="q", alt=True),
        Key(name=SpecialKey.F1),
        "q",
        None,
    ],
    ids=str,
)
def test_other_keys_change_nothing(payload):
    """An unknown key, one with a modifier or a payload that is no key gives the same view."""
    reducer = make_detail_reducer(PIPELINE.build_reducer())
    for view in (view_of(), view_of(expanded=True, log_scroll=6)):
        assert reducer(view, Action("@@KEY", payload)) is view


def test_a_key_without_effect_gives_the_same_view():
    """At an end of the list the same object comes back, so nothing is drawn again."""
    view = view_of()
    assert press(view, "UP") is view
    bottom = press(view, "ENTER", "END")
    assert press(bottom, "END") is bottom


def test_a_pipeline_without_phases_has_nothing_to_expand():
    """Keys over an empty pipeline do no harm."""
    view = view_of(names="")
    assert press(view, "ENTER", " ", "DOWN", "UP") == view
    assert press(PipelineViewState(view.pipeline, expanded=True), "G", "f", "f").log_scroll == 0


def test_other_actions_reach_the_inner_reducer():
    """Pipeline actions go through; without any state yet a view of a pending run is made."""
    reducer = make_detail_reducer(PIPELINE.build_reducer())
    view = reducer(None, Action("@@INIT"))
    assert view == PipelineViewState(PIPELINE.build_reducer()(None, Action("@@INIT")))
    running = reducer(view, actions.phase_start("b", 1, 1.0))
    assert running.pipeline.current_phase == "b"
    assert reducer(running, Action("SOMETHING ELSE")) is running


def test_a_pipeline_state_becomes_a_view():
    """A store may be given a bare PipelineState to begin with."""
    state = view_of().pipeline
    reducer = make_detail_reducer(PIPELINE.build_reducer())
    assert reducer(state, Action("@@INIT")) == PipelineViewState(state)
    assert press(state, "DOWN").selected_phase == 1


def test_a_key_may_come_first():
    """A key on no state at all acts on the pending run."""
    assert press(None, "DOWN").selected_phase == 1
    assert isinstance(press(None, "q"), Quit)


def test_new_lines_are_followed():
    """While the lines are shown and followed, each new line moves the view to the end."""
    reducer = make_detail_reducer(PIPELINE.build_reducer())
    following = press(view_of(), "ENTER")
    held = press(following, "UP")
    line = actions.phase_log("a", "new", "stdout", 1.0)
    assert reducer(following, line).log_scroll == 7
    assert reducer(held, line).log_scroll == 5
    assert reducer(view_of(), line).log_scroll == 0


def test_what_the_inner_reducer_asks_for_is_kept():
    """Sagas, commands, view and exit code of the inner reducer surround the new view."""

    def saga():
        yield

    extras = {"sagas": (saga,), "cmds": (Cmd(print),), "view": ViewState(window_title="build")}

    def inner(state, action):
        state = state or PipelineState("p")
        return Quit(state, 3, **extras) if action.type == "END" else ReducerResult(state, **extras)

    reducer = make_detail_reducer(inner)
    begun = reducer(None, Action("BEGIN"))
    assert begun == ReducerResult(PipelineViewState(PipelineState("p")), **extras)
    assert reducer(begun.state, Action("END")) == Quit(begun.state, 3, **extras)


def pages(*texts):
    logs = tuple(PhaseLog(text) for text in texts)
    phases = (PhaseStatus("a", "running", logs=logs), PhaseStatus("b"), PhaseStatus("c"))
    return PipelineViewState(PipelineState("p", phases), expanded=True, log_height=2)


FRUIT = ("apple", "Banana", "cherry", "apple pie", "date", "apple")


@pytest.mark.parametrize(
    ("keys", "search", "match"),
    [
        ("/app", "app", 0),
        ("/ban", "ban", 1),
        ("/Ban", "Ban", 1),
        ("/Apple", "Apple", -1),
        ("/none", "none", -1),
        ("/", "", -1),
    ],
)
def test_what_is_typed_behind_a_slash_is_looked_for(keys, search, match):
    """At once, from the first line in sight on; capitals count where there are some."""
    view = press(replace(pages(*FRUIT), auto_follow=False), *keys)
    assert (view.search, view.match, view.is_searching) == (search, match, True)
    assert press(view, "ENTER").is_searching is False


def test_n_and_capital_n_go_round():
    """To the next line with the text, and to the one before."""
    view = press(replace(pages(*FRUIT), auto_follow=False), *"/apple", "ENTER")
    matches = []
    for key in "nnnNNN":
        view = press(view, key)
        matches.append(view.match)
        assert view.log_scroll <= view.match < view.log_scroll + view.log_height
    assert matches == [3, 5, 0, 5, 3, 0]


def test_backspace_takes_back_and_then_leaves():
    """A search without text is over; so is one after Escape."""
    view = press(pages(*FRUIT), *"/ba", "BACKSPACE")
    assert (view.search, view.is_searching) == ("b", True)
    view = press(view, "BACKSPACE", "BACKSPACE")
    assert (view.search, view.is_searching) == ("", False)
    view = press(pages(*FRUIT), *"/ba", "ESCAPE")
    assert (view.search, view.is_searching, view.match, view.expanded) == ("", False, -1, True)


def test_what_is_found_is_no_longer_followed_away():
    """Nor is it lost when lines come."""
    view = press(pages(*FRUIT), *"/cherry", "ENTER")
    reducer = make_detail_reducer(PIPELINE.build_reducer())
    assert view.auto_follow is False
    assert reducer(view, Action("@@PHASE_LOG", {"name": "a", "line": "more"})).match == 2


def test_a_search_in_a_phase_without_lines_finds_nothing():
    """And does no harm."""
    view = press(pages(), *"/x", "ENTER", "n", "N")
    assert (view.match, view.log_scroll) == (-1, 0)


def test_question_mark_shows_the_keys_until_any_is_pressed():
    """Which does nothing else."""
    for view in (view_of(), view_of(expanded=True)):
        shown_keys = press(view, "?")
        assert shown_keys.shows_help
        assert press(shown_keys, "q") == view


def test_pages_are_as_high_as_there_is_room():
    """Of lines, and of phases."""
    view = press(view_of(expanded=True, auto_follow=False), "PAGE_DOWN")
    assert view.log_scroll == 4
    assert press(view, "PAGE_DOWN", "PAGE_DOWN").log_scroll == 6
    assert press(view, "PAGE_UP").log_scroll == 0
    many = view_of(names="abcdefgh")
    assert press(many, "PAGE_DOWN").selected_phase == 4
    assert press(many, "END").selected_phase == 7
    assert press(many, "END", "PAGE_UP").selected_phase == 3
    assert press(many, "END", "HOME").selected_phase == 0


@pytest.mark.parametrize(("height", "lines"), [(24, 20), (5, 1), (1, 1)])
def test_a_terminal_says_how_many_lines_fit(height, lines):
    """The last lines stay in sight where they are followed."""
    reducer = make_detail_reducer(PIPELINE.build_reducer())
    resize = Action("@@RESIZE", SimpleNamespace(width=80, height=height))
    view = reducer(view_of(lines=30, expanded=True), resize)
    assert (view.log_height, view.log_scroll) == (lines, 30 - lines)
    assert reducer(None, resize).log_height == lines
