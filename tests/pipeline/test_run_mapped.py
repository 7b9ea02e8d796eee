"""``map_over``: one phase, a handler call for each item of a list, a status for each."""

import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_tools import AT_ONCE, SKIP, nothing, phase, run, status_of, statuses

from milo_pipeline import DefinitionError, ItemFailed, Phase, PipelineError
from milo_pipeline.actions import phase_item, phase_log, phase_mapped, phase_start, pipeline_start
from milo_pipeline.graph import compile_graph
from milo_pipeline.reducer import make_reducer


def mapped(handler, items, **options):
    return [
        phase("list", lambda: items),
        phase("each", handler, "list", map_over="list", **options),
        phase("after", lambda context: context["each"], "each"),
    ]


def test_each_item_has_its_call_and_the_results_are_a_list():
    """In the order of the items, for whoever waits."""
    result, watch = run(*mapped(lambda item: item * 10, (1, 2, 3)))
    assert result.results["each"] == result.results["after"] == [10, 20, 30]
    each = status_of(result.state, "each")
    assert [(item.name, item.status, item.attempt) for item in each.items] == [
        ("each[0]", "completed", 1),
        ("each[1]", "completed", 1),
        ("each[2]", "completed", 1),
    ]
    assert watch.story_of("each")[:2] == ["PHASE_START each 1", "PHASE_MAPPED each"]


def test_items_run_beside_each_other():
    """Also in a phase that shares its time with no other phase."""
    barrier = threading.Barrier(3, timeout=60)

    def meet(item):
        barrier.wait()
        return item

    assert run(*mapped(meet, "abc"), max_workers=3)[0].results["each"] == ["a", "b", "c"]


@pytest.mark.parametrize("items", [[], None])
def test_no_items_are_no_work(items):
    """The phase completes with an empty list; a skipped dependency counts as none."""
    assert run(*mapped(nothing, items))[0].results["after"] == []


def test_an_item_has_its_own_attempts():
    """And its context and parameters, as any call of the handler."""
    calls = []

    def flaky(item, context):
        calls.append(item)
        if calls.count(item) < item:
            raise ValueError(f"not yet {item}")
        return item, context["list"]

    result, _ = run(*mapped(flaky, [1, 2, 3], policy=AT_ONCE))
    assert result.results["each"] == [(n, [1, 2, 3]) for n in (1, 2, 3)]
    assert [item.attempt for item in status_of(result.state, "each").items] == [1, 2, 3]


def test_an_item_that_fails_fails_the_phase_and_none_begins_after_it():
    """Its number and its error are told; items that never began stay pending."""

    def fail_second(item):
        if item == 1:
            raise ValueError("no disk")
        return item

    result, _ = run(*mapped(fail_second, [0, 1, 2, 3]), max_workers=1)
    assert statuses(result.state) == {"list": "completed", "each": "failed", "after": "pending"}
    each = status_of(result.state, "each")
    assert each.error == "item 1: no disk"
    assert [item.status for item in each.items] == ["completed", "failed", "pending", "pending"]
    error = result.errors["each"]
    assert isinstance(error, ItemFailed)
    assert (error.item, str(error.__cause__)) == (1, "no disk")


def test_an_item_can_be_skipped():
    """Its result is ``None`` and the phase completes."""

    def fail_odd(item):
        if item % 2:
            raise ValueError("odd")
        return item

    result, _ = run(*mapped(fail_odd, [0, 1, 2], policy=SKIP))
    assert result.results["each"] == [0, None, 2]
    assert [item.status for item in status_of(result.state, "each").items][1] == "skipped"


def test_sys_exit_in_an_item_fails_the_phase():
    """As in any handler; the error is what it was."""

    def leave(item):
        raise SystemExit(3)

    result, _ = run(*mapped(leave, [0]))
    assert type(result.errors["each"]) is SystemExit


def test_a_cancelled_run_ends_its_items():
    """None is left running."""
    cancel = threading.Event()
    result, _ = run(*mapped(lambda item: cancel.set(), [0, 1]), cancel=cancel, max_workers=1)
    assert result.state.error == "cancelled"
    assert {item.status for item in status_of(result.state, "each").items} <= {"failed", "pending"}


def test_what_items_print_is_the_log_of_their_phase():
    """All of it."""
    result, _ = run(*mapped(lambda item: print("item", item), [1, 2]), capture_output=True)
    lines = {log.line for log in status_of(result.state, "each").logs}
    assert lines == {"item 1", "item 2"}


def test_a_result_that_is_no_list_fails_the_phase():
    """Named with what it was."""
    result, _ = run(*mapped(nothing, 5))
    assert type(result.errors["each"]) is PipelineError
    assert "map_over: 'list' gave 5, which is no list" in str(result.errors["each"])


def test_map_over_must_be_a_dependency():
    """Its result is the list."""
    with pytest.raises(DefinitionError, match="map_over must be one of its depends_on"):
        Phase("a", nothing, map_over="b")


# The reducer


def reduced(*actions):
    state = None
    reducer = make_reducer(compile_graph([Phase("a", nothing, max_logs=2)]), "p")
    for action in actions:
        state = reducer(state, action)
    return state


BEGUN = (pipeline_start(1.0), phase_start("a", 1, 1.0), phase_mapped("a", 2, 1.0))


@given(
    st.lists(
        st.tuples(
            st.integers(-1, 2),
            st.sampled_from(["running", "retrying", "completed", "failed", "skipped", "other"]),
        ),
        max_size=12,
    )
)
def test_items_move_as_phases_do(moves):
    """An ended item changes no more; what names no item changes nothing."""
    state = reduced(*BEGUN, *[phase_item("a", i, to, 2.0) for i, to in moves])
    expected = ["pending", "pending"]
    for i, to in moves:
        ended = 0 <= i < 2 and expected[i] in ("completed", "failed", "skipped")
        if 0 <= i < 2 and to != "other" and not ended:
            expected[i] = to
    assert [item.status for item in state.phases[0].items] == expected


def test_a_status_with_items_can_be_pickled_and_compared():
    """Field by field."""
    state = reduced(*BEGUN, phase_item("a", 1, "failed", 3.0, error="no"))
    assert pickle.loads(pickle.dumps(state)) == state
    assert state.phases[0].items[1].error == "no"
    assert state != reduced(*BEGUN)


def test_lines_that_are_not_kept_are_counted():
    """``max_logs`` is 2 here."""
    state = reduced(*BEGUN, *[phase_log("a", str(i), "stdout", 2.0) for i in range(5)])
    assert [log.line for log in state.phases[0].logs] == ["3", "4"]
    assert state.phases[0].logs_dropped == 3
    assert pickle.loads(pickle.dumps(state)).phases[0].logs_dropped == 3
