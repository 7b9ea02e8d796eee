"""Stopping a run from outside: by event, by context, by shutting its store down."""

import asyncio
import threading

import pytest
from run_tools import (
    HANG,
    IN_AN_HOUR,
    Gate,
    Watch,
    beside,
    nothing,
    own_store,
    phase,
    raising,
    run,
    status_of,
    statuses,
)

import milo_effects.runtime
from milo_effects import SagaCancelled, SagaContext, Take
from milo_pipeline import PhasePolicy, Pipeline

either_way = pytest.mark.parametrize("parallel", [False, True], ids=["alone", "parallel"])


def assert_cancelled(state, **expected):
    """The run failed as cancelled, and nothing in it seems to be going on."""
    assert (state.status, state.error, state.current_phase) == ("failed", "cancelled", "")
    assert statuses(state) == expected
    assert {p.error for p in state.phases if p.status == "failed"} <= {"cancelled"}


@either_way
def test_before_it_starts(parallel):
    """An event that is set already keeps every phase from beginning."""
    cancel = threading.Event()
    cancel.set()
    handler = raising(ValueError("never called"))
    result, watch = run(phase("a", handler, parallel=parallel), cancel=cancel)
    assert_cancelled(result.state, a="pending")
    assert handler.calls == 0
    assert watch.story() == ["PIPELINE_CANCELLED"]
    assert (result.results, result.errors, result.blocked) == ({}, {}, {"a": ()})


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("PIPELINE_START", ("pending", "pending")),
        ("PHASE_START a 1", ("failed", "pending")),
        ("PHASE_COMPLETE a", ("completed", "pending")),
        ("PHASE_START b 1", ("completed", "failed")),
    ],
)
@either_way
def test_while_something_is_told(told, expected, parallel):
    """Cancelled by ``on_event``: what was told counts, and what had its result keeps it."""
    cancel = threading.Event()

    def look(action, state):
        if watch.story()[-1] == told:
            cancel.set()

    watch = Watch(look)
    result, _ = run(
        phase("a", lambda: "done", parallel=parallel),
        phase("b", lambda: "done", "a", parallel=parallel),
        watch=watch,
        cancel=cancel,
    )
    assert_cancelled(result.state, a=expected[0], b=expected[1])
    assert watch.story()[-1] == "PIPELINE_CANCELLED"
    done = {name for name, status in statuses(result.state).items() if status == "completed"}
    assert set(result.results) == done
    assert result.errors == {}


@pytest.mark.parametrize("told", ["PHASE_FAILED a no", "PHASE_SKIPPED a no"])
@either_way
def test_while_a_failure_is_told(told, parallel):
    """The error of what had failed before the cancellation is still there."""
    cancel, error = threading.Event(), ValueError("no")

    def look(action, state):
        if watch.story()[-1] == told:
            cancel.set()

    watch = Watch(look)
    policy = PhasePolicy("skip" if "SKIPPED" in told else "stop")
    result, _ = run(
        phase("a", raising(error), parallel=parallel, policy=policy),
        phase("b", nothing, "a", parallel=parallel),
        watch=watch,
        cancel=cancel,
    )
    assert result.errors == {"a": error}
    assert result.status == "failed"
    assert status_of(result.state, "b").status == "pending"


def test_after_the_last_phase_it_is_too_late():
    """A run that has said it is complete stays complete."""
    cancel = threading.Event()

    def look(action, state):
        if action.type == "@@PIPELINE_COMPLETE":
            cancel.set()

    result, _ = run(phase("a"), watch=Watch(look), cancel=cancel)
    assert result.ok


@either_way
def test_during_a_handler(parallel):
    """The handler finishes, its result is dropped, and nothing else begins."""
    cancel = threading.Event()

    def works():
        cancel.set()
        return "dropped"

    result, watch = run(
        phase("a", works, parallel=parallel), phase("b", nothing, "a"), cancel=cancel
    )
    assert_cancelled(result.state, a="failed", b="pending")
    assert (result.results, result.errors) == ({}, {})
    assert watch.story()[1:] == [
        *("PHASE_START a 1", "PHASE_FAILED a cancelled", "PIPELINE_CANCELLED")
    ]


def test_during_parallel_handlers():
    """All that run finish; those in line never begin; the run says so when the last has ended."""
    cancel, all_cancelled = threading.Event(), Gate()
    all_here = threading.Barrier(3, timeout=HANG)

    def works():
        if all_here.wait() == 0:
            cancel.set()
            all_cancelled.set()
        all_cancelled.pass_through()

    result, watch = run(
        *[phase(f"a{i}", works, parallel=True) for i in range(3)],
        *[phase(f"b{i}", nothing, parallel=True) for i in range(9)],
        cancel=cancel,
        max_workers=3,
    )
    begun = {f"a{i}": "failed" for i in range(3)}
    assert_cancelled(result.state, **begun, **{f"b{i}": "pending" for i in range(9)})
    assert watch.story()[-1] == "PIPELINE_CANCELLED"
    assert watch.story().count("PIPELINE_CANCELLED") == 1


@either_way
def test_during_the_wait_for_another_attempt(parallel):
    """A phase that would try again in an hour fails at once."""
    cancel = threading.Event()

    def look(action, state):
        if action.type == "@@PHASE_RETRY":
            threading.Thread(target=cancel.set).start()

    result, _ = run(
        phase("a", raising(ValueError("no")), parallel=parallel, policy=IN_AN_HOUR),
        watch=Watch(look),
        cancel=cancel,
    )
    assert_cancelled(result.state, a="failed")


@pytest.mark.parametrize("capture_output", [False, True], ids=["", "captured"])
@either_way
def test_during_an_async_handler(parallel, capture_output):
    """The coroutine is cancelled, and cleans up before the run ends."""
    cancel, cleaned = threading.Event(), []

    async def works():
        try:
            cancel.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("up")

    result, _ = run(
        phase("a", works, parallel=parallel), cancel=cancel, capture_output=capture_output
    )
    assert_cancelled(result.state, a="failed")
    assert cleaned == ["up"]


@pytest.mark.parametrize("capture_output", [False, True], ids=["", "captured"])
@either_way
def test_a_coroutine_that_never_began_is_closed(parallel, capture_output):
    """Cancelled between being made and being awaited, it leaves no warning behind."""
    for _ in range(20):
        cancel = threading.Event()

        async def works():
            await asyncio.Event().wait()

        def makes_it(cancel=cancel, works=works):
            cancel.set()
            return works()

        result, _ = run(
            phase("a", makes_it, parallel=parallel), cancel=cancel, capture_output=capture_output
        )
        assert_cancelled(result.state, a="failed")


@pytest.mark.parametrize("step", range(17))
def test_from_any_thread_at_any_moment(step):
    """Whenever the event comes, the run ends, and nothing in it is running."""
    cancel, go = threading.Event(), Gate()

    def look(action, state):
        if len(watch.events) == step + 1:
            go.set()

    def set_it():
        go.pass_through()
        cancel.set()

    watch = Watch(look)
    with beside(set_it):
        result, _ = run(
            *[phase(f"a{i}", nothing, parallel=True) for i in range(3)],
            phase("b", nothing, "a0"),
            *[phase(f"c{i}", nothing, "b", parallel=True) for i in range(3)],
            watch=watch,
            cancel=cancel,
            max_workers=2,
        )
        go.set()
    assert set(statuses(result.state).values()) <= {"completed", "failed", "pending"}
    assert result.state.current_phase == ""
    done = {each.name for each in result.state.phases if each.status == "completed"}
    assert set(result.results) == done
    assert result.ok == ("PIPELINE_COMPLETE" in watch.story())
    assert result.ok or result.state.error == "cancelled"


def test_the_event_is_as_it_was():
    """A run that has ended no longer listens to the event it was given."""
    cancel = threading.Event()
    run(phase("a"), cancel=cancel)
    assert "set" not in vars(cancel)


def test_only_an_event_can_cancel():
    """Anything else is refused before the run begins."""
    with pytest.raises(TypeError, match="cancel takes a threading"):
        run(phase("a"), cancel="now")


# In a store of one's own


@either_way
def test_through_a_context(parallel):
    """Cancelling the context that the saga was given stops the run in the same way."""
    context = SagaContext("run")
    pipeline = Pipeline(
        "p", phase("a", context.cancel_tree, parallel=parallel), phase("b", nothing, "a")
    )
    with own_store(pipeline) as (store, told):
        ended = store.run_saga(pipeline.build_saga()(), context=context)
        assert ended is context
        assert store.wait_idle(HANG)
        assert_cancelled(store.state, a="failed", b="pending")
    assert "@@PIPELINE_CANCELLED" in [action.type for action in told]


@either_way
@pytest.mark.parametrize("capture_output", [False, True], ids=["", "captured"])
def test_shutting_the_store_down(parallel, capture_output):
    """The handler that runs is waited for, and the state says that the run was cancelled.

    The handler hears of it a moment before its phase does, so its result may still count.
    """
    begun, cancelled = Gate(), Gate()

    def works():
        begun.set()
        cancelled.pass_through()

    pipeline = Pipeline(
        "p",
        phase("a", works, parallel=parallel),
        phase("b", nothing, "a"),
        capture_output=capture_output,
    )
    with own_store(pipeline) as (store, _):
        store.run_saga(pipeline.build_saga()(), cancel=cancelled)
        begun.pass_through()
        store.shutdown()
        ended = status_of(store.state, "a").status
        assert ended in ("failed", "completed")
        assert_cancelled(store.state, a=ended, b="pending")


def test_a_handler_that_shuts_its_store_down():
    """That ends the run as any cancellation does; the handler waits for nothing but the others."""

    def shuts_down():
        store.shutdown()

    pipeline = Pipeline("p", phase("a", shuts_down), phase("b", nothing, "a"))
    with own_store(pipeline) as (store, _):
        ended = store.run_saga(pipeline.build_saga()())
        with pytest.raises(SagaCancelled):
            ended.result(HANG)
        assert_cancelled(store.state, a="failed", b="pending")


def never_done_cleaning_up(closed):
    """A saga that has to be closed."""
    try:
        yield Take("NEVER")
    finally:
        try:
            yield Take("NEVER")
        finally:
            closed.set()


@either_way
@pytest.mark.parametrize("capture_output", [False, True], ids=["", "captured"])
def test_a_handler_that_outlasts_the_stores_patience(parallel, capture_output, monkeypatch):
    """Sagas are being closed when the handler ends, but the state does not say running."""
    monkeypatch.setattr(milo_effects.runtime, "CLEANUP_SECONDS", 0.01)
    begun, closed = Gate(), Gate()

    def works():
        print("begun")
        begun.set()
        closed.pass_through()
        print("ended")

    pipeline = Pipeline("p", phase("a", works, parallel=parallel), capture_output=capture_output)
    with own_store(pipeline) as (store, told):
        store.run_saga(never_done_cleaning_up(closed))
        store.run_saga(pipeline.build_saga()())
        begun.pass_through()
    assert_cancelled(store.state, a="failed")
    assert [action.type for action in told].count("@@PIPELINE_CANCELLED") == 1


def test_a_forked_phase_is_waited_for_though_its_fork_was_cut_short():
    """Cancelled while a phase is being forked, the run ends after that phase, not before."""
    context, begun, cut = SagaContext("run"), Gate(), Gate()

    def works():
        begun.set()
        cut.pass_through()

    def under_pressure(active, max_workers):
        """Called by the run's worker while it forks."""
        if not threading.current_thread().name.startswith("milo-worker") or cut.is_set():
            return
        begun.pass_through()
        context.cancel_tree()
        cut.set()

    pipeline = Pipeline("p", phase("a", works, parallel=True))
    with own_store(
        pipeline, max_workers=2, on_pool_pressure=under_pressure, pool_pressure_threshold=0.1
    ) as (store, told):
        store.run_saga(pipeline.build_saga()(), context=context)
        assert store.wait_idle(HANG)
        assert_cancelled(store.state, a="failed")
    types = [action.type for action in told if action.type.startswith("@@P")]
    assert types == [
        *("@@PIPELINE_START", "@@PHASE_START", "@@PHASE_FAILED", "@@PIPELINE_CANCELLED")
    ]


@either_way
def test_however_the_event_is_set(parallel):
    """Also by a ``set`` that was looked up before the run began, and for a phase that waits."""
    cancel, watch = threading.Event(), Watch()
    set_it = cancel.set

    async def forever():
        await asyncio.Event().wait()

    def cancel_in_time():
        watch.wait_for("PHASE_START a 1")
        set_it()

    with beside(cancel_in_time):
        result, _ = run(phase("a", forever, parallel=parallel), watch=watch, cancel=cancel)
    assert_cancelled(result.state, a="failed")
    assert not cancel._cond._waiters


def test_an_event_that_is_not_set_is_let_go_of():
    """After the run nobody waits for it, and those who waited beside the run wait on."""
    cancel, waiting = threading.Event(), threading.Event()

    def wait():
        waiting.set()
        return cancel.wait(HANG)

    with beside(wait) as waited:
        waiting.wait(HANG)
        result, _ = run(phase("a"), cancel=cancel)
        assert result.ok
        assert not waited.done()
        assert len(cancel._cond._waiters) <= 1
        cancel.set()
        assert waited.result(HANG)
