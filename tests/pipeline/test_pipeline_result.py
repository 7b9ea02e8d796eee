"""What a run leaves behind: its summary, its error, and what kept phases from beginning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_pipeline import (
    Phase,
    PhaseStatus,
    Pipeline,
    PipelineFailed,
    PipelineResult,
    PipelineState,
)
from milo_pipeline.result import blocked_by


def state_of(status="failed", error="", **phases):
    """A state by name: status, or status and error."""
    statuses = []
    for name, told in phases.items():
        its_status, its_error = (told, "") if isinstance(told, str) else told
        statuses.append(PhaseStatus(name, its_status, error=its_error))
    return PipelineState("build", statuses, status=status, error=error)


def plan_of(**edges):
    return Pipeline(
        "build", *(Phase(name, print, depends_on=list(needs)) for name, needs in edges.items())
    ).plan


def test_a_completed_run_is_ok():
    """A completed result has its status, is ok and raises nothing."""
    result = PipelineResult(state_of("completed", a="completed"), {"a": 1}, {}, {})
    assert (result.ok, result.status) == (True, "completed")
    result.raise_for_status()


def test_a_failed_run_raises_with_every_reason():
    """The message names failed phases as they failed; the first error is the cause."""
    second, first = ValueError("no net"), KeyError()
    state = state_of(a=("failed", "no net"), b="failed", c=("failed", "cancelled"), d="pending")
    result = PipelineResult(state, {}, {"b": first, "a": second}, {"d": ("a",)})
    with pytest.raises(PipelineFailed) as failure:
        result.raise_for_status()
    assert str(failure.value) == (
        "pipeline 'build' failed; b: KeyError; a: ValueError: no net; c: cancelled; "
        "1 of 4 phases never began"
    )
    assert failure.value.__cause__ is first
    assert failure.value.result is result


def test_the_error_of_a_skipped_phase_is_no_cause():
    """A skipped phase's error is kept, but the run failed for another reason."""
    skipped, failed = ValueError("skipped"), ValueError("failed")
    state = state_of(a=("skipped", "skipped"), b=("failed", "failed"))
    result = PipelineResult(state, {}, {"a": skipped, "b": failed}, {})
    with pytest.raises(PipelineFailed, match=r"^pipeline 'build' failed; b: ValueError: failed$"):
        result.raise_for_status()
    with pytest.raises(PipelineFailed) as failure:
        result.raise_for_status()
    assert failure.value.__cause__ is failed


def test_a_cancelled_run_says_so():
    """A run that was stopped raises without a cause and is called cancelled."""
    result = PipelineResult(state_of(error="cancelled", a="pending"), {}, {}, {"a": ()})
    with pytest.raises(PipelineFailed, match="'build' was cancelled; 1 of 1 phases never began"):
        result.raise_for_status()


def test_a_failure_without_a_reason_still_names_its_phase():
    """A phase that failed without any text is named all the same."""
    result = PipelineResult(state_of(a="failed"), {}, {}, {})
    assert result.summary() == "pipeline 'build' failed; a: no reason given"


def test_blocked_by_failed_dependencies():
    """Direct or through others, every failed phase a pending one waits for is named."""
    plan = plan_of(a="", b="", c="ab", d="c", e="")
    state = state_of(a="failed", b="failed", c="pending", d="pending", e="completed")
    assert blocked_by(plan, state) == {"c": ("a", "b"), "d": ("a", "b")}


def test_blocked_by_the_failure_elsewhere():
    """A phase none of whose dependencies failed was stopped by what failed by itself."""
    plan = plan_of(a="", b="", c="", d="b")
    state = state_of(a=("failed", "no disk"), b="pending", c=("failed", "cancelled"), d="pending")
    assert blocked_by(plan, state) == {"b": ("a",), "d": ("a",)}


def test_blocked_by_the_cancellation_itself():
    """In a cancelled run, where nothing failed by itself, no phase is to blame."""
    plan = plan_of(a="", b="", c="a")
    state = state_of(error="cancelled", a=("failed", "cancelled"), b="pending", c="pending")
    assert blocked_by(plan, state) == {"b": (), "c": ("a",)}


@pytest.mark.parametrize("status", ["pending", "running", "completed"])
def test_nothing_is_blocked_unless_the_run_failed(status):
    """Pending phases of a run that has not failed are not blocked."""
    assert blocked_by(plan_of(a=""), state_of(status, a="pending")) == {}


def test_a_long_chain_behind_a_failure_is_blocked():
    """10,000 phases behind one failure are found without recursion."""
    names = [f"n{i:05}" for i in range(10_000)]
    plan = plan_of(**{name: names[i - 1 : i] if i else [] for i, name in enumerate(names)})
    state = state_of(**dict.fromkeys(names, "pending") | {"n00000": "failed"})
    assert blocked_by(plan, state) == dict.fromkeys(names[1:], ("n00000",))


@given(st.data())
def test_blocked_names_are_failed_ancestors(data):
    """In any graph: exactly the failed ancestors, or all that failed when there are none."""
    names = [f"n{i}" for i in range(8)]
    edges = {
        name: data.draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else []
        for i, name in enumerate(names)
    }
    statuses = {
        name: data.draw(st.sampled_from(["pending", "failed", "completed"])) for name in names
    }

    def above(name):
        return {n for needed in edges[name] for n in (needed, *above(needed))}

    failed = {name for name in names if statuses[name] == "failed"}
    expected = {
        name: above(name) & failed or failed for name in names if statuses[name] == "pending"
    }
    found = blocked_by(plan_of(**edges), state_of(**statuses))
    assert {name: set(blame) for name, blame in found.items()} == expected
