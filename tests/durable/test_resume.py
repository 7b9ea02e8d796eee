"""Going on now with one saga: what is resumed, and what is left alone."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from saga_tools import DAY, START, Plain, Step, chain, failing, on, refuse, wait_once

from milo_durable import (
    FixedRetry,
    SagaNotFoundError,
    SagaStateError,
    StepAwaitEvent,
    UnknownSagaError,
)
from milo_durable.engine import GRACE, LEASE

RETRIES = {"retry_policy": FixedRetry(3, DAY)}


def test_a_wait_for_the_next_attempt_is_cut_short(database):
    """The attempt is made at once, and its wait is over for others, too."""
    journal = []

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", journal, failing(1)), step0=RETRIES))
        saga = await bench.orchestrator.resume(saga_id)
        assert saga == await bench.see(saga_id)
        assert await bench.later() == 0
        return saga

    saga = on(database, scenario)
    assert (saga.status, journal) == ("COMPLETED", ["do a", "do a"])
    assert [entry["attempt"] for entry in saga.step_history] == [1, 2]


def test_resuming_counts_no_attempt_less(database):
    """Retries that are made by hand are used up as any others."""

    async def scenario(bench):
        step = Step("a", [], refuse)
        saga_id = await bench.begin(chain(step, step0=RETRIES))
        statuses = [(await bench.orchestrator.resume(str(saga_id))).status for _ in range(3)]
        return statuses, step.attempts

    assert on(database, scenario) == (["SUSPENDED", "SUSPENDED", "FAILED"], 4)


def test_the_way_back_is_resumed_backwards(database):
    """A saga that waits for its next attempt to undo a step goes on undoing."""
    journal = []

    def undo():
        if journal.count("undo a go go>a") == 1:
            raise RuntimeError("not yet")

    async def scenario(bench):
        steps = Step("a", journal, undo=undo), Step("b", journal, refuse)
        saga_id = await bench.begin(chain(*steps, step0=RETRIES))
        assert await bench.status(saga_id) == "COMPENSATING_SUSPENDED"
        return (await bench.orchestrator.resume(saga_id)).status

    assert on(database, scenario) == "COMPENSATED"
    assert journal[2:] == ["undo a go go>a"] * 2


@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_a_saga_whose_worker_died_is_resumed_when_its_lease_is_over(database, back):
    """Until then it is refused, whether the worker is alive or not; then it goes on."""

    async def scenario(bench):
        inside = asyncio.Event()

        async def hang(*_):
            inside.set()
            await asyncio.Event().wait()

        step = Step("a", [], None if back else hang, undo=hang)
        definition = chain(step, Step("b", [], refuse)) if back else chain(step)
        dying = asyncio.ensure_future(bench.begin(definition))
        await inside.wait()
        dying.cancel()
        await asyncio.wait({dying})
        (row,) = await bench.sagas()
        bench.clock.forward(LEASE)
        before = await bench.see(row.id)
        with pytest.raises(SagaStateError, match="a worker has it, until 2030-01-01 00:05:05"):
            await bench.orchestrator.resume(row.id)
        assert await bench.see(row.id) == before
        bench.clock.forward(GRACE)
        step.behave = step.undo = None
        saga = await bench.orchestrator.resume(row.id)
        assert saga.step_execution_token != before.step_execution_token
        return saga.status

    assert on(database, scenario) == ("COMPENSATED" if back else "COMPLETED")


def test_what_waits_for_an_event_is_left_alone(database):
    """The error names what is waited for, and nothing is changed."""
    waits = StepAwaitEvent(event_types=["paid", "waived"], correlation_id="c", until=START + DAY)

    async def scenario(bench):
        bench.orchestrator.register("plain", chain(Step("b", [], wait_once)))
        typed = await bench.begin(chain(Step("a", [], lambda *_: waits)))
        told = []
        for saga_id in (typed, await bench.begin(name="plain", key="other")):
            before = await bench.see(saga_id)
            with pytest.raises(SagaStateError) as raised:
                await bench.orchestrator.resume(saga_id)
            assert raised.value.status == "SUSPENDED"
            assert await bench.see(saga_id) == before
            told.append(str(raised.value).partition("; ")[2])
        return told

    what = "of type 'paid' or 'waived' with the correlation id 'c' until 2030-01-02 00:00:00+00:00"
    assert on(database, scenario) == [
        f"it waits for an event {what}, which notify or ingest_event sends",
        "it waits for an event, which notify or ingest_event sends",
    ]


def test_a_wait_that_has_come_to_nothing_ends(database):
    """As run_due would have it: a saga whose event is too late is in TIMEOUT."""

    async def scenario(bench):
        until = START + timedelta(hours=1)
        saga_id = await bench.begin(chain(Step("a", [], lambda *_: StepAwaitEvent(until=until))))
        bench.clock.forward()
        saga = await bench.orchestrator.resume(saga_id)
        return saga.status, saga.error, await bench.orchestrator.run_due()

    assert on(database, scenario) == ("TIMEOUT", "the event did not come in time", 0)


@pytest.mark.parametrize(
    ("behave", "status", "hint"),
    [
        (None, "COMPLETED", "it has ended"),
        (refuse, "FAILED", "retry_step"),
        (lambda *_: StepAwaitEvent(until=START), "TIMEOUT", "retry_step"),
    ],
    ids=["completed", "failed", "timeout"],
)
def test_what_has_ended_is_refused(database, behave, status, hint):
    """It stays as it is; the error says what else may be done, if anything."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], behave)))
        await bench.orchestrator.run_due()
        before = await bench.see(saga_id)
        with pytest.raises(SagaStateError, match=f"{status}, so it cannot be resumed; .*{hint}"):
            await bench.orchestrator.resume(saga_id)
        assert await bench.see(saga_id) == before

    on(database, scenario)


def test_of_many_who_resume_at_once_one_does(database):
    """The others are refused, and the step runs once."""

    async def scenario(bench):
        inside, may_end = asyncio.Event(), asyncio.Event()

        async def behave(attempt, inp):
            if attempt == 1:
                raise RuntimeError("not yet")
            inside.set()
            await may_end.wait()

        step = Step("a", [], behave)
        saga_id = await bench.begin(chain(step, step0=RETRIES))
        resuming = [asyncio.ensure_future(bench.orchestrator.resume(saga_id)) for _ in range(8)]
        await inside.wait()
        refused = 0
        while refused < 7:
            done, _ = await asyncio.wait(resuming, return_when=asyncio.FIRST_COMPLETED)
            refused += sum(isinstance(task.exception(), SagaStateError) for task in done)
            resuming = [task for task in resuming if task not in done]
        may_end.set()
        (last,) = resuming
        return (await last).status, step.attempts

    assert on(database, scenario) == ("COMPLETED", 2)


def test_what_cannot_be_resumed_at_all(database):
    """An unknown id, no id and a saga that is not registered here are refused by their names."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], refuse), step0=RETRIES))
        stranger, _ = bench.another()
        with pytest.raises(UnknownSagaError, match="version 1 of saga 'saga'"):
            await stranger.resume(saga_id)
        stranger.register("saga", chain(Plain()))
        with pytest.raises(SagaNotFoundError):
            await stranger.resume(uuid.uuid4())
        with pytest.raises(TypeError, match="saga_id must be a UUID"):
            await stranger.resume("one")

    on(database, scenario)
