"""Which phases decided when the run ended."""

from itertools import pairwise

from export_runs import FAILED, SITE, attempt, of, told
from hypothesis import given, settings
from hypothesis import strategies as st

from milo_pipeline import Pipeline, PipelineState, actions
from milo_pipeline.exports import CriticalStep, critical_path, slowest


def test_the_chain_that_ended_last():
    """From the phase that ended last back over the dependency that ended last."""
    state, _ = told(SITE, *FAILED)
    assert critical_path(SITE.plan, state) == (
        CriticalStep("parse", 1.5, 0.0),
        CriticalStep("render", 1.0, 0.25),
        CriticalStep("write", 0.5, 0.25),
    )


def test_waiting_before_the_first_step_counts_from_the_start_of_the_run():
    """A phase that had to wait for a worker shows that, though it depends on nothing."""
    pipeline = Pipeline("p", of("a"))
    state, _ = told(pipeline, actions.pipeline_start(1.0), *attempt("a", 3.0, 4.0))
    assert critical_path(pipeline.plan, state) == (CriticalStep("a", 1.0, 2.0),)


def test_nothing_began():
    """A run that never began, and an empty pipeline, have no critical path."""
    assert critical_path(SITE.plan, PipelineState("site")) == ()
    assert critical_path(Pipeline("empty").plan, PipelineState("empty")) == ()


def test_a_chain_of_ten_thousand():
    """Depth is no problem."""
    names = [f"p{i}" for i in range(10_000)]
    pipeline = Pipeline("chain", of("p0"), *(of(b, a) for a, b in pairwise(names)))
    happened = [actions.pipeline_start(0.0)]
    for i, name in enumerate(names):
        happened += attempt(name, float(i), i + 1.0)
    state, _ = told(pipeline, *happened)
    assert [step.phase for step in critical_path(pipeline.plan, state)] == names


def test_slowest_come_first():
    """The longest ones, and none that never began."""
    state, _ = told(SITE, *FAILED)
    assert [phase.name for phase in slowest(state, 2)] == ["parse", "assets"]
    assert len(slowest(state, 100)) == 4


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_waits_and_times_add_up_to_the_end(data):
    """In any graph, the steps depend on each other and sum up to when the last one ended."""
    size = data.draw(st.integers(1, 12))
    needs = [data.draw(st.sets(st.integers(0, i - 1))) if i else set() for i in range(size)]
    pipeline = Pipeline("p", *(of(f"p{i}", *(f"p{j}" for j in needs[i])) for i in range(size)))
    ends, happened = {}, []
    for i in range(size):
        start = max((ends[j] for j in needs[i]), default=0) + data.draw(st.integers(0, 3))
        ends[i] = start + data.draw(st.integers(0, 5))
        happened += attempt(f"p{i}", float(start), float(ends[i]))
    state, _ = told(pipeline, actions.pipeline_start(0.0), *happened)
    path = critical_path(pipeline.plan, state)
    assert sum(step.waited + step.elapsed for step in path) == max(ends.values())
    for before, after in pairwise(path):
        assert before.phase in pipeline.phases[pipeline.plan.index[after.phase]].depends_on
