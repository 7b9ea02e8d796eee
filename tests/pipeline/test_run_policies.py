"""What a failing handler leads to: the action stream, statuses and results under each policy."""

import asyncio
import threading

import pytest
from run_tools import (
    AT_ONCE,
    HANG,
    IN_AN_HOUR,
    SKIP,
    Gate,
    Watch,
    nothing,
    own_store,
    phase,
    raising,
    run,
    status_of,
    statuses,
)

from milo_effects import Call, Delay, Put
from milo_pipeline import PhasePolicy, Pipeline
from milo_pipeline._scopes import Dispatcher, Scope

either_way = pytest.mark.parametrize("parallel", [False, True], ids=["alone", "parallel"])


def flaky(failures, result="done"):
    """A handler that raises so many times and then returns ``result``."""

    def handler():
        handler.calls += 1
        if handler.calls <= failures:
            raise ValueError(f"no {handler.calls}")
        return result

    handler.calls = 0
    return handler


@either_way
def test_stop(parallel):
    """The phase fails with its error, so does the pipeline, and what waits for it stays pending."""
    error = ValueError("no")
    result, watch = run(
        phase("a", raising(error), parallel=parallel), phase("b", nothing, "a", parallel=parallel)
    )
    assert watch.story() == ["PIPELINE_START", "PHASE_START a 1", "PHASE_FAILED a no"]
    assert statuses(result.state) == {"a": "failed", "b": "pending"}
    assert (result.status, result.state.error) == ("failed", "no")
    assert status_of(result.state, "a").error == "no"
    assert (result.results, result.errors) == ({}, {"a": error})
    assert result.blocked == {"b": ("a",)}


@either_way
def test_a_failure_sets_the_time_the_run_took(parallel):
    """``elapsed`` covers everything up to the failure, for the phase and for the run."""
    result, watch = run(phase("a", raising(ValueError("no")), parallel=parallel))
    (start, _), (begin, _), (failed, _) = watch.events
    at = failed.payload["at"]
    assert result.state.elapsed == at - start.payload
    assert result.state.phases[0].elapsed == at - begin.payload["at"]
    assert 0 < result.state.phases[0].elapsed <= result.state.elapsed


@either_way
def test_skip(parallel):
    """The pipeline completes without the phase, whose dependents get ``None`` for it."""
    error, given = ValueError("no"), []
    result, watch = run(
        phase("a", raising(error), parallel=parallel, policy=SKIP),
        phase("b", lambda context: given.append(context) or "done", "a", parallel=parallel),
    )
    assert watch.story_of("a") == ["PHASE_START a 1", "PHASE_SKIPPED a no"]
    assert result.ok
    assert given == [{"a": None}]
    assert result.state.progress == 1.0
    assert status_of(result.state, "a").error == "no"
    assert (result.results, result.errors) == ({"b": "done"}, {"a": error})


@either_way
def test_retry_until_it_works(parallel):
    """Each failed attempt is told, the phase is retrying between them, and then completed."""
    handler = flaky(2)
    result, watch = run(phase("a", handler, parallel=parallel, policy=AT_ONCE))
    assert watch.story_of("a") == [
        *("PHASE_START a 1", "PHASE_RETRY a 1 no 1"),
        *("PHASE_START a 2", "PHASE_RETRY a 2 no 2"),
        *("PHASE_START a 3", "PHASE_COMPLETE a"),
    ]
    history = [(s.phases[0].status, s.phases[0].attempt) for _, s in watch.events]
    assert history == [
        *(("pending", 0), ("running", 1), ("retrying", 1), ("running", 2), ("retrying", 2)),
        *(("running", 3), ("completed", 3), ("completed", 3)),
    ]
    retries = [a.payload["max_retries"] for a, _ in watch.events if a.type == "@@PHASE_RETRY"]
    assert retries == [2, 2]
    assert (result.results, result.errors) == ({"a": "done"}, {})


@either_way
def test_retry_until_it_is_enough(parallel):
    """After the last attempt the phase fails with the last error."""
    result, watch = run(phase("a", flaky(9), parallel=parallel, policy=AT_ONCE))
    assert watch.story_of("a")[-2:] == ["PHASE_START a 3", "PHASE_FAILED a no 3"]
    assert (result.status, result.state.error) == ("failed", "no 3")
    assert str(result.errors["a"]) == "no 3"


@pytest.mark.parametrize("on_fail", ["stop", "skip"])
def test_retries_count_only_with_retry(on_fail):
    """``max_retries`` has no effect under another policy."""
    handler = raising(ValueError("no"))
    policy = PhasePolicy(on_fail, max_retries=5, retry_delay=0)
    run(phase("a", handler, policy=policy))
    assert handler.calls == 1


@pytest.mark.parametrize(
    ("backoff", "delays"), [("fixed", [8, 8, 8, 8]), ("exponential", [8, 16, 30, 30])]
)
def test_the_wait_between_attempts(backoff, delays):
    """It is the policy's: always the same, or doubled up to half a minute."""
    policy = PhasePolicy("retry", max_retries=4, retry_delay=8, retry_backoff=backoff)
    saga = Pipeline("p", phase("a", flaky(4), policy=policy)).build_saga()()
    assert [each.seconds for each in effects_of(saga) if isinstance(each, Delay)] == delays


def effects_of(saga):
    """Step a saga by hand, calling what it calls; everything it yields."""
    step, value = saga.send, None
    while True:
        try:
            effect = step(value)
        except StopIteration:
            return
        yield effect
        step, value = saga.send, None
        if isinstance(effect, Dispatcher):
            value = print
        elif isinstance(effect, Call):
            try:
                value = effect.fn(*effect.args, **effect.kwargs)
            except Exception as error:
                step, value = saga.throw, error


def test_a_sequential_run_is_made_of_plain_effects():
    """A saga can be stepped by hand: ``Put`` for what happens, ``Call`` for handlers.

    Besides these it asks for the store's dispatch and for the scope that phases run in.
    """
    saga = Pipeline("p", phase("a"), phase("b", nothing, "a")).build_saga()()
    kinds = [type(each) for each in effects_of(saga)]
    assert kinds == [Dispatcher, Put, Scope, *[Put, Call, Put] * 2, Put]


@either_way
def test_running_phases_finish_when_one_has_failed(parallel):
    """A stop lets what runs come to its end, but nothing that waits for it begins."""
    watch = Watch()
    begun = Gate()

    def fails():
        begun.pass_through()
        raise ValueError("no")

    def works():
        begun.set()
        watch.wait_for("PHASE_FAILED a no")
        return "done"

    result, _ = run(
        phase("a", fails, parallel=True),
        phase("b", works, parallel=True),
        phase("c", nothing, "b", parallel=parallel),
        watch=watch,
        max_workers=2,
    )
    assert statuses(result.state) == {"a": "failed", "b": "completed", "c": "pending"}
    assert result.results == {"b": "done"}
    assert result.blocked == {"c": ("a",)}
    assert watch.story()[-1] == "PHASE_COMPLETE b"


@either_way
def test_keep_going(parallel):
    """Branches that do not depend on the failure go on; the pipeline has failed all the same."""
    result, watch = run(
        phase("a", raising(ValueError("no")), parallel=parallel),
        phase("a2", nothing, "a", parallel=parallel),
        phase("a3", nothing, "a2", parallel=parallel),
        phase("b", nothing, parallel=parallel),
        phase("b2", nothing, "b", parallel=parallel),
        keep_going=True,
        max_workers=1,
    )
    assert list(statuses(result.state).values()) == [
        *("failed", "pending", "pending"),
        *("completed", "completed"),
    ]
    assert result.status == "failed"
    assert "PIPELINE_COMPLETE" not in watch.story()
    assert result.blocked == {"a2": ("a",), "a3": ("a",)}


def test_keep_going_collects_every_failure():
    """Each phase that fails is reported; the first failure is the run's error and the cause."""
    errors = {name: ValueError(name) for name in "abc"}
    result, _ = run(
        *[phase(name, raising(error)) for name, error in errors.items()], keep_going=True
    )
    assert result.errors == errors
    assert result.state.error == "a"


def test_fail_fast_drops_what_a_running_handler_returns():
    """A running sibling finishes its call and has then failed as cancelled, without a result."""
    all_begun, cancelled = threading.Barrier(3, timeout=60), Gate()

    def fails():
        all_begun.wait()
        raise ValueError("no")

    def works():
        all_begun.wait()
        cancelled.pass_through()
        return "dropped"

    async def hears_of_it():
        try:
            await asyncio.to_thread(all_begun.wait)
            await asyncio.Event().wait()
        finally:  # cancelled in the order of their start, so by now b has been as well
            cancelled.set()

    result, _ = run(
        phase("a", fails, parallel=True),
        phase("b", works, parallel=True),
        phase("c", hears_of_it, parallel=True),
        phase("d", nothing, "b"),
        fail_fast=True,
        max_workers=3,
    )
    assert statuses(result.state) == {"a": "failed", "b": "failed", "c": "failed", "d": "pending"}
    assert status_of(result.state, "b").error == status_of(result.state, "c").error == "cancelled"
    assert (result.results, list(result.errors)) == ({}, ["a"])
    assert result.blocked == {"d": ("b",)}
    assert result.summary() == (
        "pipeline 'p' failed; a: ValueError: no; b: cancelled; c: cancelled; "
        "1 of 4 phases never began"
    )


def test_fail_fast_cancels_a_waiting_retry_at_once():
    """A sibling that would try again in an hour does not."""
    watch = Watch()

    def fails():
        watch.wait_for("PHASE_RETRY b 1 later")
        raise ValueError("no")

    result, _ = run(
        phase("a", fails, parallel=True),
        phase("b", raising(OSError("later")), parallel=True, policy=IN_AN_HOUR),
        watch=watch,
        fail_fast=True,
    )
    assert statuses(result.state) == {"a": "failed", "b": "failed"}
    assert status_of(result.state, "b").error == "cancelled"


def test_fail_fast_leaves_what_has_not_begun_pending():
    """Siblings in line for the one worker never begin, and are no errors."""
    result, watch = run(
        phase("a", raising(ValueError("no")), parallel=True),
        *[phase(f"b{i}", nothing, parallel=True) for i in range(20)],
        fail_fast=True,
        max_workers=1,
    )
    assert watch.story() == ["PIPELINE_START", "PHASE_START a 1", "PHASE_FAILED a no"]
    assert set(result.errors) == {"a"}


def test_fail_fast_ends_wherever_the_failure_comes():
    """While others are being forked, stand in line, run or have ended: the run ends."""
    for at in range(0, 40, 2):
        phases = [phase(f"p{i:02}", nothing, parallel=True) for i in range(40)]
        phases[at] = phase(f"p{at:02}", raising(ValueError("no")), parallel=True)
        result, _ = run(*phases, fail_fast=True, max_workers=4)
        assert list(result.errors) == [f"p{at:02}"]
        assert result.state.current_phase == ""
        assert set(statuses(result.state).values()) <= {"completed", "failed", "pending"}


@pytest.mark.parametrize("options", [{}, {"fail_fast": True}, {"keep_going": True}], ids=str)
def test_a_failed_pipeline_never_completes(options):
    """Whatever goes on after a failure, no state says anything but failed from there on."""
    phases = [phase(f"b{i}", nothing, parallel=True) for i in range(8)]
    _, watch = run(*phases, phase("bad", raising(ValueError("no")), parallel=True), **options)
    failed = [state.status for _, state in watch.events]
    assert failed[-1] == "failed"
    assert set(failed[failed.index("failed") :]) == {"failed"}
    assert "PIPELINE_COMPLETE" not in watch.story()


def test_several_failures_at_once():
    """Phases that fail together have all failed; those not cancelled before have their errors."""
    together = threading.Barrier(4, timeout=60)

    def fails():
        together.wait()
        raise ValueError("no")

    result, _ = run(
        *[phase(f"p{i}", fails, parallel=True) for i in range(4)], fail_fast=True, max_workers=4
    )
    assert set(statuses(result.state).values()) == {"failed"}
    assert result.state.error == "no"
    assert set(result.errors) == {p.name for p in result.state.phases if p.error == "no"}


@either_way
def test_a_store_that_refuses_an_action(parallel):
    """A reducer of one's own that fails on an action fails the phase; the run goes to its end."""
    pipeline = Pipeline(
        "p", phase("a", nothing, parallel=parallel), phase("b", nothing, "a", parallel=parallel)
    )
    reduce = pipeline.build_reducer()

    def picky(state, action):
        if action.type == "@@PHASE_COMPLETE":
            raise ValueError("not this one")
        return reduce(state, action)

    with own_store(pipeline, picky) as (store, told):
        assert store.run_saga(pipeline.build_saga()()).result(HANG) is False
        assert statuses(store.state) == {"a": "failed", "b": "pending"}
        assert store.state.status == "failed"
        assert "not this one" in store.state.error
    assert [action.type for action in told if action.type.startswith("@@P")] == [
        *("@@PIPELINE_START", "@@PHASE_START", "@@PHASE_COMPLETE", "@@PHASE_FAILED")
    ]
