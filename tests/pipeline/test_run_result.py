"""What a run gives back, what it tells on its way, and what it leaves behind."""

import logging
import sys
import threading

import pytest
from run_tools import SKIP, Watch, nothing, phase, raising, run, statuses

from milo_pipeline import (
    PhasePolicy,
    Pipeline,
    PipelineFailed,
    PipelineState,
    get_active_pipeline,
)


def test_results_are_readable_afterwards():
    """Every completed phase's result is there by name, whether anything depended on it or not."""
    document = object()
    result, _ = run(
        phase("a", lambda: document),
        phase("b", lambda context: [context["a"]], "a", parallel=True),
        phase("nothing", nothing),
        phase("skipped", raising(ValueError("no")), policy=SKIP),
    )
    assert result.results == {"a": document, "b": [document], "nothing": None}
    assert result.results["b"][0] is document
    assert (result.ok, result.status, result.blocked) == (True, "completed", {})
    result.raise_for_status()


def test_a_failure_is_raised_on_request_with_its_cause():
    """``raise_for_status`` chains the handler's own error, traceback and all."""

    def reads():
        raise OSError("no disk")

    result, _ = run(phase("a", reads), phase("b", nothing, "a"))
    with pytest.raises(PipelineFailed, match="a: OSError: no disk; 1 of 2 phases never") as failed:
        result.raise_for_status()
    cause = failed.value.__cause__
    assert cause is result.errors["a"]
    *_, last = iter_frames(cause.__traceback__)
    assert last.f_code is reads.__code__


def iter_frames(traceback):
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def test_the_first_error_comes_first():
    """The cause is what failed first, not what comes first in the graph."""
    watch = Watch()

    def second():
        watch.wait_for("PHASE_FAILED z first")
        raise ValueError("second")

    result, _ = run(
        phase("a", second, parallel=True),
        phase("z", raising(ValueError("first")), parallel=True),
        watch=watch,
        max_workers=2,
    )
    assert list(result.errors) == ["z", "a"]
    with pytest.raises(PipelineFailed) as failed:
        result.raise_for_status()
    assert str(failed.value.__cause__) == "first" == result.state.error


def test_on_event_is_told_everything_in_order():
    """Each action once, one at a time, with the state its reducer made of the state before."""
    inside, overlaps = threading.Lock(), []

    def look(action, state):
        if not inside.acquire(blocking=False):
            overlaps.append(action)
            return
        inside.release()

    phases = [
        *[phase(f"a{i}", lambda i=i: print(i), parallel=True) for i in range(10)],
        phase("b", lambda: print("b"), "a0", "a9"),
        *[phase(f"c{i}", lambda i=i: print(i), "b", parallel=True) for i in range(10)],
    ]
    pipeline = Pipeline("p", *phases, capture_output=True)
    watch = Watch(look)
    result = pipeline.run(on_event=watch, max_workers=4)
    assert not overlaps
    reducer, state = pipeline.build_reducer(), None
    for action, told in watch.events:
        state = reducer(state, action)
        assert told == state
    assert state == result.state
    assert watch.story()[0] == "PIPELINE_START"
    assert watch.story()[-1] == "PIPELINE_COMPLETE"
    assert len(watch.events) == 2 + 3 * len(phases)


@pytest.mark.parametrize(
    "error", [ValueError("mine"), SystemExit(4), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("parallel", [False, True], ids=["alone", "parallel"])
def test_errors_in_on_event_do_not_break_the_run(error, parallel, caplog):
    """Each is logged, the next event is told all the same, and the result is right."""

    def look(action, state):
        raise error

    watch = Watch(look)
    with caplog.at_level(logging.ERROR):
        result, _ = run(
            phase("a", lambda: 1, parallel=parallel),
            phase("b", lambda: 2, "a", parallel=parallel),
            watch=watch,
        )
    assert result.results == {"a": 1, "b": 2}
    assert result.ok
    assert len(caplog.records) == len(watch.events) == 6
    assert {type(record.exc_info[1]) for record in caplog.records} == {type(error)}


def test_on_event_may_run_a_pipeline():
    """The inner run has a store of its own, so neither waits for the other."""
    inner = []

    def look(action, state):
        if action.type == "@@PHASE_COMPLETE":
            inner.append(run(phase("x", lambda: 7))[0].results["x"])

    result, _ = run(phase("a"), phase("b"), watch=Watch(look))
    assert result.ok
    assert inner == [7, 7]


def test_the_active_pipeline_is_published():
    """While a phase runs, and once the run has ended, everybody can see its state."""
    seen = []

    def works():
        seen.append(get_active_pipeline())

    result, _ = run(phase("a", works), phase("b", nothing, "a"))
    (during,) = seen
    assert isinstance(during, PipelineState)
    assert (during.name, during.status, during.current_phase) == ("p", "running", "a")
    assert get_active_pipeline() is result.state


def test_without_on_event():
    """Nobody has to listen."""
    result = Pipeline("p", phase("a"), phase("b", raising(ValueError("no")))).run()
    assert statuses(result.state) == {"a": "completed", "b": "failed"}


def test_runs_of_one_pipeline_are_independent():
    """The same pipeline can run again, and several times at once."""
    together = threading.Barrier(4, timeout=60)
    pipeline = Pipeline("p", phase("a", lambda: together.wait() >= 0))
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(pipeline.run(max_workers=1)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.results for each in results] == [{"a": True}] * 4


def test_no_thread_is_left_whatever_happened():
    """Workers, timers, event loop and feed have ended when ``run`` returns."""

    async def awaits():
        print("awaited")

    soon = PhasePolicy("retry", max_retries=1, retry_delay=0.001)
    before = threading.active_count()
    for handler in (nothing, raising(ValueError("no")), raising(SystemExit()), awaits):
        for parallel in (False, True):
            run(phase("a", handler, parallel=parallel, policy=soon), capture_output=True)
            assert threading.active_count() == before
    assert not hasattr(sys.stdout, "beneath")
