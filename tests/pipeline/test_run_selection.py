"""Running a part of a pipeline: ``only``, ``start_at``, ``skip``, and ``when``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_tools import SKIP, nothing, phase, raising, run, status_of, statuses

from milo_core import Store
from milo_pipeline import DefinitionError, Phase, Pipeline


def chain():
    """a → b → c, and d beside them."""
    return [
        phase("a", lambda: "A"),
        phase("b", lambda context: context["a"], "a"),
        phase("c", lambda context: context["b"], "b"),
        phase("d", lambda: "D"),
    ]


def outcome(**options):
    result, _ = run(*chain(), given=options)
    assert result.ok
    reasons = {each.name: each.error for each in result.state.phases if each.status == "skipped"}
    return dict(result.results), reasons


def test_only_runs_what_it_names_and_what_that_waits_for():
    """Everything else ends as skipped, and the run completes."""
    assert outcome(only=["b"]) == (
        {"a": "A", "b": "A"},
        {"c": "not selected", "d": "not selected"},
    )


def test_start_at_runs_a_phase_and_what_waits_for_it():
    """What would have come before gives no result."""
    assert outcome(start_at="b") == (
        {"b": None, "c": None},
        {"a": "before 'b'", "d": "before 'b'"},
    )


def test_skip_leaves_out_nothing_but_what_it_names():
    """What waits for it gets None."""
    assert outcome(skip=["b"]) == ({"a": "A", "c": None, "d": "D"}, {"b": "skipped on request"})


def test_each_takes_away_from_the_rest():
    """All three together."""
    results, reasons = outcome(only=["c"], start_at="b", skip=["c"])
    assert results == {"b": None}
    assert reasons["c"] == "skipped on request"


def test_a_left_out_phase_waits_for_nothing_that_runs():
    """A sequential one, left out, does not hold up the phases behind it."""
    result, watch = run(
        phase("a", nothing, parallel=True),
        phase("b", nothing),
        phase("c", nothing, "b", parallel=True),
        given={"skip": ["b"]},
    )
    assert statuses(result.state) == {"a": "completed", "b": "skipped", "c": "completed"}
    assert "PHASE_START b 1" not in watch.story()


def test_a_saga_in_a_store_of_ones_own_takes_the_same_options():
    """``build_saga(skip=...)``."""
    pipeline = Pipeline("p", *chain())
    with Store(pipeline.build_reducer(), None) as store:
        store.run_saga(pipeline.build_saga(skip=["b"])()).result()
        assert statuses(store.state)["b"] == "skipped"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["bb"]}, "only: there is no phase 'bb'; did you mean 'b'?"),
        ({"only": "b"}, "only takes names of phases, not one text; write ['b']"),
        ({"only": []}, "only names no phase"),
        ({"start_at": "zzz"}, "start_at: there is no phase 'zzz'; there are a, d, b, c"),
        ({"skip": ["x", "a"]}, "skip: there is no phase 'x'"),
    ],
)
def test_a_name_that_is_no_phase_is_refused_before_anything_runs(options, message):
    """With what there is instead."""
    with pytest.raises(DefinitionError) as refused:
        Pipeline("p", *chain()).run(**options)
    assert message in str(refused.value)


# Conditions


def test_a_phase_whose_condition_does_not_hold_ends_as_skipped():
    """It never starts, its reason is told, and what waits for it gets None."""
    ran = []
    result, watch = run(
        phase("a", lambda: 3),
        phase("b", lambda: ran.append("b"), "a", when=lambda context: context["a"] > 5),
        phase("c", lambda context: context, "b"),
    )
    assert ran == []
    assert result.ok
    assert result.results["c"] == {"b": None}
    assert watch.story_of("b") == ["PHASE_SKIPPED b its condition does not hold"]
    assert result.errors == {}


@pytest.mark.parametrize(
    "condition",
    [
        lambda context: context == {"a": 3},
        lambda given: given == {"a": 3},
        lambda: True,
        lambda *given: given == ({"a": 3},) or given == (),
    ],
)
def test_a_condition_is_given_the_context_if_it_takes_one(condition):
    """By the name, or as its only argument."""
    result, _ = run(phase("a", lambda: 3), phase("b", lambda: "ran", "a", when=condition))
    assert result.results["b"] == "ran"


def test_an_async_condition_is_awaited():
    """Its answer decides, not the coroutine."""

    async def no():
        return False

    result, _ = run(phase("a", nothing, when=no))
    assert status_of(result.state, "a").status == "skipped"


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_condition_that_raises_fails_its_phase(error):
    """No policy skips that: the question was wrong, not the work."""
    result, _ = run(phase("a", nothing, when=raising(error("broken")), policy=SKIP))
    assert statuses(result.state) == {"a": "failed"}
    assert type(result.errors["a"]) is error


def test_a_condition_must_be_a_function():
    """A plain True is a mistake."""
    with pytest.raises(DefinitionError, match="when must be a function of the context, not True"):
        Phase("a", nothing, when=True)


@given(st.data())
def test_any_part_of_any_graph_ends_completed(data):
    """Each phase is completed or skipped, as the choice says, and none starts too early."""
    names = [f"p{i:02}" for i in range(data.draw(st.integers(1, 12)))]
    phases = [
        Phase(
            name,
            nothing,
            depends_on=data.draw(st.sets(st.sampled_from(names[:i]))) if i else (),
            parallel=data.draw(st.booleans()),
        )
        for i, name in enumerate(names)
    ]
    only = data.draw(st.none() | st.lists(st.sampled_from(names), min_size=1, max_size=3))
    skip = data.draw(st.sets(st.sampled_from(names)))
    result, watch = run(*phases, given={"only": only, "skip": skip})
    needs = {each.name: each.depends_on for each in phases}
    wanted = set(names) if only is None else set()
    ahead = list(only or ())
    while ahead:
        name = ahead.pop()
        wanted.add(name)
        ahead.extend(needs[name])
    ran = {each.name for each in result.state.phases if each.status == "completed"}
    assert result.ok
    assert ran == wanted - skip
    assert {text.split()[1] for text in watch.story() if text.startswith("PHASE_START")} == ran
