"""A step at which one worker after the other dies is not run for ever."""

import asyncio
from datetime import timedelta

import pytest
from saga_tools import DAY, Plain, Step, Word, chain, failing, on, refuse

from milo_durable import (
    FixedRetry,
    NotifyResult,
    SagaBuilder,
    SagaDefinitionError,
    SagaStateError,
    _crash,
)


async def die(bench, times):
    """So many workers take what is due, one day after the other, and are never heard of again."""
    for _ in range(times):
        bench.clock.forward()
        await bench.orchestrator.engine.take_due(1)


async def abandoned(bench, journal, *, behave=None, parallel=False, **options):
    """A saga whose first worker died at its second step, with the first beside it or done."""
    inside, recorded = asyncio.Event(), asyncio.Event()

    def note(point):
        if point in ("execute.after", "branch.after"):
            recorded.set()

    async def hang(attempt, inp):
        if attempt == 1:
            inside.set()
            await asyncio.Event().wait()
        return None if behave is None else behave(attempt, inp)

    first, second = Step("a", journal), Step("b", journal, hang)
    if parallel:
        builder = SagaBuilder()
        for step, given in ((first, {}), (second, options)):
            builder.add_step(step, lambda ctx: Word(word="go"), **given)
        definition = builder.build()
    else:
        definition = chain(first, second, step1=options)
    with _crash.hooked(note):
        starting = asyncio.ensure_future(bench.begin(definition))
        await inside.wait()
        await recorded.wait()
    starting.cancel()
    await asyncio.wait({starting})
    journal.clear()
    (row,) = await bench.sagas()
    return row.id


def test_a_saga_is_suspended_when_too_many_workers_died(database):
    """The worker after the last that may die runs nothing, and says so in the saga."""
    journal = []

    async def scenario(bench):
        saga_id = await abandoned(bench, journal, max_crashes=3)
        await die(bench, 2)
        assert (await bench.see(saga_id)).crash_count == 2
        assert await bench.later() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.deadline_at, saga.awaiting) == ("SUSPENDED", None, None)
        assert saga.error.startswith("3 workers in a row died") and "step_1" in saga.error
        entry = saga.step_history[-1]
        assert (entry["status"], entry["error"], entry["attempt"]) == ("ERROR", saga.error, 1)
        assert await bench.later() == 0 and journal == []
        assert await bench.notify(saga_id, {}) is NotifyResult.NOT_WAITING

    on(database, scenario)


def test_a_step_beside_others(database):
    """Deaths are counted for each step in flight; the saga waits for the one that is suspended."""
    journal = []

    async def scenario(bench):
        saga_id = await abandoned(bench, journal, parallel=True, max_crashes=3)
        await die(bench, 2)
        assert (await bench.see(saga_id)).branches["step_1"].crash_count == 2
        assert await bench.later() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.deadline_at, list(saga.branches)) == (
            *("SUSPENDED", None),
            ["step_1"],
        )
        assert saga.branches["step_1"].error.startswith("3 workers in a row died")
        assert await bench.later() == 0 and journal == []
        saga = await bench.admin.retry_step(saga_id)
        assert (saga.status, saga.crash_count, journal) == ("COMPLETED", 0, ["do b"])

    on(database, scenario)


def test_one_fewer_and_the_step_runs(database):
    """As long as fewer have died, the step is run again, and the count begins anew."""
    journal = []

    async def scenario(bench):
        saga_id = await abandoned(bench, journal, max_crashes=3)
        await die(bench, 1)
        assert await bench.later() == 1
        saga = await bench.see(saga_id)
        assert (saga.status, saga.crash_count, journal) == ("COMPLETED", 0, ["do b"])

    on(database, scenario)


def test_a_recorded_failure_begins_the_count_anew(database):
    """Only deaths in a row count: between them nothing was recorded."""
    options = {"max_crashes": 2, "retry_policy": FixedRetry(9, DAY)}

    async def scenario(bench):
        saga_id = await abandoned(bench, [], behave=failing(2), **options)
        assert await bench.later() == 1
        assert (await bench.see(saga_id)).retry_count == 1
        await die(bench, 1)
        assert (await bench.see(saga_id)).crash_count == 0
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


@pytest.mark.parametrize(
    ("call", "ends", "done"),
    [
        ("retry_step", "COMPLETED", ["do b"]),
        ("skip_step", "COMPLETED", []),
        ("compensate_step", "COMPENSATED", ["undo a go go>a"]),
        ("abort", "FAILED", []),
    ],
)
def test_an_operator_decides(database, call, ends, done):
    """What was suspended so can be tried again, skipped, undone and given up."""
    journal = []

    async def scenario(bench):
        saga_id = await abandoned(bench, journal, max_crashes=1)
        await bench.later()
        assert await bench.status(saga_id) == "SUSPENDED"
        given = [{"word": "given"}] if call == "skip_step" else []
        saga = await getattr(bench.admin, call)(saga_id, *given)
        assert (saga.status, saga.crash_count, journal) == (ends, 0, done)

    on(database, scenario)


def test_on_the_way_back(database):
    """Undoing is suspended as well; the saga keeps its error, and compensate_step goes on."""
    journal = []

    async def scenario(bench):
        inside = asyncio.Event()

        async def hang():
            if not inside.is_set():
                inside.set()
                await asyncio.Event().wait()

        steps = Step("a", journal, undo=hang), Step("b", journal, refuse)
        options = {"max_crashes": 1}
        starting = asyncio.ensure_future(bench.begin(chain(*steps, step0=options)))
        await inside.wait()
        starting.cancel()
        await asyncio.wait({starting})
        (row,) = await bench.sagas()
        assert await bench.later() == 1
        saga = await bench.see(row.id)
        assert (saga.status, saga.deadline_at) == ("COMPENSATING_SUSPENDED", None)
        assert saga.error == "RuntimeError: refused"
        assert "compensate_step" in saga.step_history[-1]["error"]
        assert await bench.later() == 0
        with pytest.raises(SagaStateError):
            await bench.admin.retry_step(row.id)
        assert (await bench.admin.compensate_step(row.id)).status == "COMPENSATED"

    on(database, scenario)


@pytest.mark.parametrize("parallel", [False, True])
def test_a_worker_that_hands_over_has_not_died(database, parallel):
    """However often a saga is handed over, that counts for nothing."""

    async def scenario(bench):
        saga_id = await abandoned(bench, [], parallel=parallel, max_crashes=2)
        engine = bench.orchestrator.engine
        for _ in range(3):
            bench.clock.forward()
            (saga,), _ended = await engine.take_due(1)
            await engine.hand_over(saga)
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_no_limit(database):
    """With None workers may die for ever; ten of them are the most otherwise."""

    async def scenario(bench):
        saga_id = await abandoned(bench, [], max_crashes=None)
        await die(bench, 15)
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"
        assert chain(Plain()).steps[0].max_crashes == 10

    on(database, scenario)


@pytest.mark.parametrize("given", [0, -1, True, 1.5, "3", timedelta(1)])
def test_a_number_that_cannot_be_meant(given):
    """max_crashes is a whole number from 1, or None."""
    with pytest.raises(SagaDefinitionError, match="max_crashes must be"):
        chain(Plain(), step0={"max_crashes": given})
