"""A saga that is stored now and begins later."""

import asyncio
from datetime import timedelta

import pytest
from saga_tools import DAY, START, Step, Word, chain, on, refuse
from worker_tools import HOUR, Gate, one_step, opened, working

from milo_durable import (
    ActiveSagaAlreadyExistsError,
    AwaitingEvent,
    NotifyResult,
    SagaDataError,
    SagaDefinitionError,
    SagaStateError,
)
from milo_durable._bell import Bell


async def scheduled(bench, journal, *steps, **when):
    """A saga that begins then; of one step unless others are given."""
    bench.orchestrator.register("saga", chain(*(steps or [Step("a", journal)])))
    return await bench.orchestrator.start("saga", {"word": "go"}, "key", **when)


@pytest.mark.parametrize("when", [{"at": START + DAY}, {"after": DAY}])
def test_it_begins_when_it_is_due(database, when):
    """Nothing of it runs before its time; then run_due begins it, once."""
    journal = []

    async def scenario(bench):
        saga_id = await scheduled(bench, journal, **when)
        saga = await bench.see(saga_id)
        assert (saga.status, saga.deadline_at, saga.awaiting) == ("SUSPENDED", START + DAY, None)
        assert (saga.step_history, saga.retry_count, saga.created_at) == ((), 0, START)
        bench.clock.forward(DAY - timedelta(seconds=1))
        assert await bench.orchestrator.run_due() == 0 and journal == []
        bench.clock.forward(timedelta(seconds=1))
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(saga_id) == "COMPLETED" and journal == ["do a"]
        assert await bench.later() == 0

    on(database, scenario)


def test_a_moment_that_has_passed(database):
    """start with a moment returns before anything runs, also if it is due already."""
    journal = []

    async def scenario(bench):
        saga_id = await scheduled(bench, journal, at=START - DAY)
        assert journal == []
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_a_worker_begins_it_in_time(database):
    """A worker sleeps until the moment, not until it polls."""

    async def scenario():
        step = Gate()
        orchestrator = await opened(database, order=one_step(step))
        await orchestrator.start("order", {"word": "w"}, "a", after=timedelta(milliseconds=200))
        async with working(orchestrator, poll=HOUR):
            await step.entered.wait()
        return step.runs

    assert database.run(scenario) == 1


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_workers_are_woken_to_look_when_it_begins(database):
    """A worker that sleeps hears of a saga that may begin before its next look."""

    async def scenario(bench):
        engine, heard = bench.orchestrator.engine, asyncio.Event()
        bell = Bell(engine.database, engine.table.channel, heard.set)
        await bell.listen()
        await scheduled(bench, [], after=DAY)
        await heard.wait()
        await bell.close()

    on(database, scenario)


def test_it_holds_its_aggregation(database):
    """A saga that has not begun is the active one of its aggregation until it is aborted."""

    async def scenario(bench):
        saga_id = await scheduled(bench, [], after=DAY)
        with pytest.raises(ActiveSagaAlreadyExistsError):
            await bench.begin()
        assert (await bench.admin.abort(saga_id)).status == "FAILED"
        assert await bench.status(await bench.begin()) == "COMPLETED"
        assert await bench.later() == 0

    on(database, scenario)


def test_what_operators_and_events_do_to_it(database):
    """It takes no event, is not undone, and begins at once when its step is tried again."""
    journal = []

    async def scenario(bench):
        saga_id = await scheduled(bench, journal, after=DAY)
        assert await bench.notify(saga_id, {"n": 1}) is NotifyResult.NOT_WAITING
        await bench.ingest("e")
        assert await bench.orchestrator.run_inbox_due() == 0
        with pytest.raises(SagaStateError, match="abort it instead"):
            await bench.admin.compensate_step(saga_id)
        with pytest.raises(SagaStateError, match="wait for an event"):
            await bench.admin.expire(saga_id)
        assert journal == []
        assert (await bench.admin.retry_step(saga_id)).status == "COMPLETED"
        assert await bench.later() == 0 and journal == ["do a"]

    on(database, scenario)


def test_it_may_wait_for_an_event_instead(database):
    """await_event has it begin with that event, in place of its moment."""
    journal = []

    async def scenario(bench):
        saga_id = await scheduled(bench, journal, after=DAY)
        token = await bench.orchestrator.await_event(saga_id, AwaitingEvent())
        assert await bench.later() == 0 and journal == []
        assert await bench.orchestrator.notify(saga_id, token, {"n": 1})
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_its_first_step_is_skipped(database):
    """A step that is skipped before it was tried is undone with what it would have been given."""
    journal = []

    async def scenario(bench):
        steps = Step("a", journal), Step("b", journal, refuse)
        saga_id = await scheduled(bench, journal, *steps, after=DAY)
        saga = await bench.admin.skip_step(saga_id, {"word": "given"})
        assert (saga.status, journal) == ("COMPENSATED", ["do b", "undo a go given"])

    on(database, scenario)


def test_a_step_that_can_be_given_nothing_is_not_skipped(database):
    """When the input_map of a step that was not tried fails, skipping it says so."""

    def first(ctx):
        return Word(word=ctx.initial_data["missing"])

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", []), first=first))
        saga_id = await bench.orchestrator.start("saga", {}, "key", after=DAY)
        before = await bench.see(saga_id)
        with pytest.raises(SagaDataError, match="KeyError: 'missing'"):
            await bench.admin.skip_step(saga_id, {"word": "given"})
        assert await bench.see(saga_id) == before

    on(database, scenario)


def test_it_goes_on_with_the_version_it_was_stored_with(database):
    """A newer version that is registered before it begins is not its."""
    journal = []

    async def scenario(bench):
        saga_id = await scheduled(bench, journal, after=DAY)
        bench.orchestrator.register("saga", chain(Step("new", journal), version=2))
        await bench.later()
        assert await bench.status(saga_id) == "COMPLETED" and journal == ["do a"]

    on(database, scenario)


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({"at": START.replace(tzinfo=None)}, "at must be a datetime with a time zone"),
        ({"at": DAY}, "at must be"),
        ({"at": "tomorrow"}, "at must be"),
        ({"after": timedelta(0)}, "after must be a timedelta above 0"),
        ({"after": 5}, "after must be"),
        ({"after": timedelta.max}, "at most 36500 days"),
        ({"at": START, "after": DAY}, "give one"),
    ],
)
def test_a_beginning_that_cannot_be_meant(database, when, told):
    """A moment without a zone, no length of time, or both: the error says so, nothing is stored."""

    async def scenario(bench):
        with pytest.raises(SagaDefinitionError, match=told):
            await scheduled(bench, [], **when)
        assert await bench.sagas() == []

    on(database, scenario)
