"""What each action of a run does to its state."""

import pickle

import pytest

from milo_core import Action
from milo_pipeline import (
    DefinitionError,
    Phase,
    PhaseLog,
    PhaseStatus,
    Pipeline,
    PipelineState,
    actions,
)


def nothing():
    return None


def pipeline_of(*names, **fields):
    return Pipeline("p", *(Phase(name, nothing, **fields) for name in names))


def after(pipeline, *sequence, state=None):
    reducer = pipeline.build_reducer()
    for action in sequence:
        state = reducer(state, action)
    return state


def phase(state, name):
    return next(status for status in state.phases if status.name == name)


def test_a_new_run_is_pending():
    """Without a state any action gives a pending run with all phases pending, at attempt 0."""
    state = after(pipeline_of("a", "b"), Action("@@INIT"))
    assert state == PipelineState("p", (PhaseStatus("a"), PhaseStatus("b")))
    assert (state.status, state.progress, state.current_phase) == ("pending", 0.0, "")


@pytest.mark.parametrize(
    "action",
    [
        Action("SOMETHING ELSE", {"name": "a"}),
        actions.phase_start("elsewhere", 1, 1.0),
        Action("@@PHASE_START"),
        Action("@@PHASE_COMPLETE", 5.0),
        Action("@@PHASE_FAILED", ["a"]),
        Action("@@PHASE_LOG", {"name": "elsewhere", "line": "x"}),
    ],
    ids=str,
)
def test_what_concerns_no_phase_of_ours_changes_nothing(action):
    """Other actions and other pipelines' phases give back the very state that was given."""
    state = after(pipeline_of("a"), actions.pipeline_start(1.0))
    assert after(pipeline_of("a"), action, state=state) is state


def test_a_sequential_run():
    """Statuses, current phase, progress and times of a run of two phases, event by event."""
    pipeline = Pipeline("p", Phase("a", nothing), Phase("b", nothing, depends_on=("a",), weight=3))
    reducer, seen = pipeline.build_reducer(), []
    state = None
    for action in (
        actions.pipeline_start(10.0),
        actions.phase_start("a", 1, 11.0),
        actions.phase_complete("a", "result", 12.5),
        actions.phase_start("b", 1, 13.0),
        actions.phase_complete("b", None, 17.0),
        actions.pipeline_complete(17.5),
    ):
        state = reducer(state, action)
        seen.append((state.status, state.current_phase, state.progress, state.elapsed))
    assert seen == [
        ("running", "", 0.0, 0.0),
        ("running", "a", 0.0, 1.0),
        ("running", "", 0.25, 2.5),
        ("running", "b", 0.25, 3.0),
        ("running", "", 1.0, 7.0),
        ("completed", "", 1.0, 7.5),
    ]
    assert phase(state, "a") == PhaseStatus("a", "completed", 11.0, 1.5, "", 1)
    assert phase(state, "b") == PhaseStatus("b", "completed", 13.0, 4.0, "", 1)
    assert state.started_at == 10.0


def test_the_current_phase_is_the_latest_that_still_runs():
    """When the latest phase ends, the one begun before it is current, if that still runs."""
    pipeline = pipeline_of("a", "b", "c", parallel=True)
    starts = [actions.phase_start(name, 1, float(i)) for i, name in enumerate("abc")]
    state = after(pipeline, *starts)
    assert state.current_phase == "c"
    state = after(pipeline, actions.phase_complete("b", None, 3.0), state=state)
    assert state.current_phase == "c"
    state = after(pipeline, actions.phase_complete("c", None, 4.0), state=state)
    assert state.current_phase == "a"
    assert after(pipeline, actions.phase_complete("a", None, 5.0), state=state).current_phase == ""


def test_a_new_attempt_does_not_become_current():
    """Phases stand in the order in which they first began, whichever of them tries again."""
    state = after(
        pipeline_of("a", "b", parallel=True),
        actions.phase_start("a", 1, 1.0),
        actions.phase_start("b", 1, 2.0),
        actions.phase_retry("a", 1, "no net", 2, 3.0),
        actions.phase_start("a", 2, 4.0),
    )
    assert state.current_phase == "b"


def test_a_retry_covers_all_attempts():
    """While it waits a phase is retrying and current; its time runs from the first attempt."""
    pipeline = pipeline_of("a")
    waiting = after(
        pipeline,
        actions.pipeline_start(0.0),
        actions.phase_start("a", 1, 1.0),
        actions.phase_retry("a", 1, "no net", 2, 2.0),
    )
    assert phase(waiting, "a") == PhaseStatus("a", "retrying", 1.0, 1.0, "no net", 1)
    assert (waiting.status, waiting.current_phase) == ("running", "a")
    again = after(pipeline, actions.phase_start("a", 2, 5.0), state=waiting)
    assert phase(again, "a") == PhaseStatus("a", "running", 1.0, 4.0, "", 2)
    done = after(pipeline, actions.phase_complete("a", None, 6.0), state=again)
    assert phase(done, "a") == PhaseStatus("a", "completed", 1.0, 5.0, "", 2)


def test_a_failure_is_never_overwritten():
    """A failed phase and a failed pipeline stay failed, with the first error, whatever follows."""
    pipeline = pipeline_of("a", "b", parallel=True)
    state = after(
        pipeline,
        actions.pipeline_start(0.0),
        actions.phase_start("a", 1, 0.0),
        actions.phase_start("b", 1, 0.0),
        actions.phase_failed("a", "no disk", 1.0),
        actions.phase_failed("b", "no net", 2.0),
        actions.phase_complete("a", None, 3.0),
        actions.phase_start("a", 2, 3.0),
        actions.pipeline_complete(4.0),
    )
    assert (state.status, state.error, state.elapsed) == ("failed", "no disk", 4.0)
    assert [(p.status, p.error) for p in state.phases] == [
        ("failed", "no disk"),
        ("failed", "no net"),
    ]
    assert state.progress == 0.0


def test_a_skipped_phase_counts_as_progress():
    """A skipped phase keeps its error and moves progress like a completed one."""
    state = after(pipeline_of("a", "b"), actions.phase_skipped("a", "not today", 1.0))
    assert (phase(state, "a").status, phase(state, "a").error) == ("skipped", "not today")
    assert state.progress == 0.5


def test_cancelling_fails_what_has_begun():
    """Running and retrying phases end failed with "cancelled", ended and pending ones stay."""
    pipeline = pipeline_of("done", "runs", "waits", "later", parallel=True)
    state = after(
        pipeline,
        actions.pipeline_start(0.0),
        *(actions.phase_start(name, 1, 1.0) for name in ("done", "runs", "waits")),
        actions.phase_complete("done", None, 2.0),
        actions.phase_retry("waits", 1, "no net", 3, 2.0),
        actions.pipeline_cancelled(5.0),
    )
    assert (state.status, state.error, state.elapsed) == ("failed", "cancelled", 5.0)
    assert [(p.status, p.error, p.elapsed) for p in state.phases] == [
        ("completed", "", 1.0),
        ("failed", "cancelled", 4.0),
        ("failed", "cancelled", 4.0),
        ("pending", "", 0.0),
    ]
    assert state.current_phase == ""
    late = after(pipeline, actions.phase_complete("runs", None, 6.0), state=state)
    assert late is state


def test_cancelling_after_the_end_changes_nothing():
    """A completed run cannot be cancelled, and a failed one keeps its first error."""
    pipeline = pipeline_of("a")
    completed = after(pipeline, actions.pipeline_start(0.0), actions.pipeline_complete(1.0))
    assert after(pipeline, actions.pipeline_cancelled(2.0), state=completed) is completed
    failed = after(pipeline, actions.phase_failed("a", "no disk", 1.0))
    cancelled = after(pipeline, actions.pipeline_cancelled(2.0), state=failed)
    assert (cancelled.status, cancelled.error) == ("failed", "no disk")


def test_a_failure_after_completion_still_counts():
    """A phase that fails after the run was called complete fails it; its times stay."""
    state = after(
        pipeline_of("a"),
        actions.pipeline_start(1.0),
        actions.pipeline_complete(2.0),
        actions.phase_failed("a", "no disk", 9.0),
    )
    assert (state.status, state.error, state.progress) == ("failed", "no disk", 0.0)
    assert (state.started_at, state.elapsed) == (1.0, 1.0)


def test_a_second_run_begins_afresh():
    """``@@PIPELINE_START`` in a store that has seen a run forgets all of it."""
    pipeline = pipeline_of("a", "b")
    again = after(
        pipeline,
        actions.pipeline_start(0.0),
        actions.phase_log("a", "line", "stdout", 0.5),
        actions.phase_failed("a", "no disk", 1.0),
        actions.pipeline_start(9.0),
    )
    assert again == after(pipeline, actions.pipeline_start(9.0))


def test_without_a_time_the_latest_one_counts():
    """An action that carries no ``at`` happens at the latest time of the run."""
    state = after(
        pipeline_of("a", "b"),
        actions.pipeline_start(10.0),
        actions.phase_start("a", 1, 12.0),
        Action("@@PHASE_START", {"name": "b", "attempt": 1}),
        actions.phase_complete("a", None, 15.0),
        Action("@@PHASE_COMPLETE", "b"),
        Action("@@PIPELINE_COMPLETE"),
    )
    assert (phase(state, "b").started_at, phase(state, "b").elapsed) == (12.0, 3.0)
    assert (state.status, state.elapsed) == ("completed", 5.0)


def test_time_does_not_run_backwards():
    """Events of several threads may arrive out of order; elapsed never shrinks."""
    pipeline = pipeline_of("a", "b", parallel=True)
    state = after(
        pipeline,
        actions.pipeline_start(10.0),
        actions.phase_start("a", 1, 15.0),
        actions.phase_start("b", 1, 14.0),
        actions.phase_complete("a", None, 14.5),
    )
    assert state.elapsed == 5.0
    assert phase(state, "a").elapsed == 0.0


def test_a_bare_name_is_enough():
    """Start, complete, failed and skipped accept the phase's name as their payload."""
    pipeline = pipeline_of("a", "b", "c")
    state = after(pipeline, Action("@@PHASE_START", "a"))
    assert (phase(state, "a").status, phase(state, "a").attempt) == ("running", 1)
    for kind, name, status in (
        ("@@PHASE_COMPLETE", "a", "completed"),
        ("@@PHASE_SKIPPED", "b", "skipped"),
        ("@@PHASE_FAILED", "c", "failed"),
    ):
        state = after(pipeline, Action(kind, name), state=state)
        assert phase(state, name).status == status


def test_a_time_that_is_none_is_refused():
    """A wrong ``at`` names itself, instead of poisoning every time after it."""
    for wrong in ("12:00", True):
        with pytest.raises(TypeError, match=f"'at' must be a time .* not {wrong!r}"):
            after(pipeline_of("a"), Action("@@PHASE_START", {"name": "a", "at": wrong}))


@pytest.mark.parametrize(("max_logs", "kept"), [(0, []), (1, ["4"]), (3, ["2", "3", "4"])])
def test_the_last_lines_are_kept(max_logs, kept):
    """A phase keeps its last ``max_logs`` lines, none when that is 0."""
    lines = [actions.phase_log("a", str(n), "stdout", float(n)) for n in range(5)]
    state = after(pipeline_of("a", max_logs=max_logs), *lines)
    assert [log.line for log in phase(state, "a").logs] == kept


def test_a_line_carries_stream_and_time():
    """A log action becomes a PhaseLog, also after its phase has ended."""
    state = after(
        pipeline_of("a"),
        actions.phase_complete("a", None, 1.0),
        actions.phase_log("a", "late", "stderr", 1.5),
    )
    assert phase(state, "a").logs == (PhaseLog("late", "stderr", 1.5),)
    assert phase(state, "a").elapsed == 0.0


def test_where_a_result_came_from_is_kept():
    """With the phase's later lines, in a copy, and not for a phase whose handler ran."""
    pipeline = pipeline_of("a", "b")
    state = after(
        pipeline,
        actions.pipeline_start(0.0),
        actions.phase_complete("a", 1, 0.0, "cache"),
        actions.phase_log("a", "late", "stdout", 0.1),
        actions.phase_start("b", 1, 0.0),
        actions.phase_complete("b", 1, 1.0),
    )
    assert [each.source for each in state.phases] == ["cache", ""]
    assert [each.source for each in pickle.loads(pickle.dumps(state)).phases] == ["cache", ""]


def test_all_zero_weights_are_done_at_the_end():
    """Where nothing weighs anything, progress is 0 until the run completes."""
    pipeline = pipeline_of("a", weight=0)
    state = after(pipeline, actions.phase_complete("a", None, 1.0))
    assert state.progress == 0.0
    assert after(pipeline, actions.pipeline_complete(1.0), state=state).progress == 1.0


def test_a_pipeline_without_phases_completes():
    """An empty pipeline has nothing to wait for and ends with progress 1."""
    state = after(Pipeline("p"), actions.pipeline_start(1.0), actions.pipeline_complete(1.5))
    assert (state.status, state.progress, state.elapsed) == ("completed", 1.0, 0.5)


def test_a_state_from_elsewhere_is_taken_up():
    """A state made by hand goes on: progress counts what it says is done."""
    given = PipelineState(
        "p",
        (PhaseStatus("a", "completed"), PhaseStatus("b", "running", 3.0), PhaseStatus("c")),
        status="running",
    )
    state = after(pipeline_of("a", "b", "c"), actions.phase_start("c", 1, 4.0), state=given)
    assert (state.progress, state.current_phase) == (1 / 3, "c")
    state = after(pipeline_of("a", "b", "c"), actions.phase_complete("c", None, 5.0), state=state)
    assert (state.progress, state.current_phase) == (2 / 3, "b")


def test_a_state_from_elsewhere_shows_in_its_times_what_began_last():
    """In a state made by hand the latest ``started_at`` tells which running phase is current."""
    began = {"a": 5.0, "b": 3.0, "c": 4.0, "d": 9.0}
    given = PipelineState("p", [PhaseStatus(name, "running", at) for name, at in began.items()])
    state = after(pipeline_of(*began), actions.phase_complete("d", None, 9.5), state=given)
    assert state.current_phase == "a"
    state = after(pipeline_of(*began), actions.phase_complete("a", None, 9.5), state=state)
    assert state.current_phase == "c"


def test_a_state_of_other_phases_is_refused():
    """Another pipeline's state is an error that names both, not a mixture of them."""
    other = after(Pipeline("q", Phase("x", nothing)), actions.pipeline_start(1.0))
    with pytest.raises(DefinitionError, match=r"state of pipeline 'q' .* pipeline 'p'"):
        after(pipeline_of("a"), actions.phase_start("a", 1, 2.0), state=other)


def test_one_event_shares_the_rest_of_the_state():
    """In a run of 10,000 phases an event makes one new status; all others are the same objects."""
    pipeline = pipeline_of(*(f"n{i}" for i in range(10_000)))
    before = after(pipeline, actions.pipeline_start(1.0))
    later = after(pipeline, actions.phase_start("n5000", 1, 2.0), state=before)
    pairs = enumerate(zip(before.phases, later.phases, strict=True))
    assert [i for i, (old, new) in pairs if old is not new] == [5000]
