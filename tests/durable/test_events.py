"""What waits for an event, what is sent to it, and what came of that."""

import asyncio
import uuid

import pytest
from saga_tools import DAY, START, Plain, Step, Word, chain, failing, on, wait_once

from milo_durable import (
    AwaitingEvent,
    FixedRetry,
    NotifyResult,
    SagaStateError,
    StepAwaitEvent,
)

TYPED = StepAwaitEvent(event_types=["paid", "waived"], correlation_id="c", until=START + DAY)


def waits_for(event):
    """Wait for ``event`` on the first attempt, then go on."""
    return lambda attempt, inp: event if attempt == 1 else None


def fits(**changes):
    return {"event_id": "e", "event_type": "paid", "correlation_id": "c", "payload": {}, **changes}


def test_an_event_is_judged_in_the_order_that_is_promised(database):
    """Status, token, duplicate, type, correlation and expiry are asked in this order."""

    def behave(attempt, inp):
        return TYPED if attempt <= 2 else None

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], behave)))
        assert await bench.notify(saga_id, fits()) is NotifyResult.ACCEPTED
        wrong = {"event_type": "x", "correlation_id": "x"}
        bench.clock.forward()
        told = [
            await bench.orchestrator.notify_detailed(saga_id, uuid.uuid4(), fits(**wrong)),
            await bench.notify(saga_id, fits(**wrong)),
            await bench.notify(saga_id, fits(event_id="f", **wrong)),
            await bench.notify(saga_id, fits(event_id="f", correlation_id="x")),
            await bench.notify(saga_id, fits(event_id="f")),
        ]
        assert await bench.orchestrator.run_due() == 1
        told.append(await bench.orchestrator.notify_detailed(saga_id, uuid.uuid4(), fits(**wrong)))
        assert told == [
            NotifyResult.STALE_TOKEN,
            NotifyResult.DUPLICATE_EVENT,
            NotifyResult.WRONG_EVENT_TYPE,
            NotifyResult.WRONG_CORRELATION_ID,
            NotifyResult.EXPIRED,
            NotifyResult.NOT_WAITING,
        ]
        assert await bench.status(saga_id) == "TIMEOUT"

    on(database, scenario)


def test_a_wait_that_expires_can_be_taken_up_again(database):
    """From TIMEOUT a saga may be tried again or undone, and keeps why it got there."""
    journal = []

    async def scenario(bench):
        step = Step("b", journal, lambda attempt, inp: TYPED if attempt != 2 else None)
        bench.orchestrator.register("saga", chain(Step("a", journal), step))
        first = await bench.begin(key="1")
        assert await bench.orchestrator.run_due() == 0
        assert await bench.later() == 1
        saga = await bench.see(first)
        assert (saga.status, saga.error) == ("TIMEOUT", "the event did not come in time")
        assert saga.step_history[-1]["status"] == "TIMEOUT"
        assert await bench.later() == 0
        assert (await bench.admin.retry_step(first)).status == "COMPLETED"
        second = await bench.begin(key="1")
        assert await bench.later() == 1
        assert (await bench.admin.compensate_step(second)).status == "COMPENSATED"
        assert journal[-1] == "undo a go go>a"
        third = await bench.begin(key="1")
        assert await bench.later() == 1
        assert (await bench.admin.abort(third)).error == "aborted"

    on(database, scenario)


def test_a_notify_never_cuts_a_retry_wait_short(database):
    """A saga that waits for its next attempt takes no event, and runs when the wait is over."""
    journal = []

    async def scenario(bench):
        options = {"retry_policy": FixedRetry(1, DAY)}
        saga_id = await bench.begin(chain(Step("a", journal, failing(1)), step0=options))
        assert await bench.notify(saga_id, {"n": 1}) is NotifyResult.NOT_WAITING
        await bench.ingest("e")
        assert await bench.orchestrator.run_inbox_due() == 0
        assert journal == ["do a"]
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_a_token_is_good_for_one_event(database):
    """Of many notifies with one token, at the same time, one is accepted."""
    journal = []

    async def scenario(bench):
        step = Step("a", journal, lambda attempt, inp: StepAwaitEvent() if attempt < 3 else None)
        saga_id = await bench.begin(chain(step))
        token = (await bench.see(saga_id)).step_execution_token
        told = await asyncio.gather(
            *[bench.orchestrator.notify(saga_id, token, {"n": n}) for n in range(6)]
        )
        assert sorted(told) == [False] * 5 + [True]
        assert journal == ["do a"] * 2
        saga = await bench.see(saga_id)
        assert saga.status == "SUSPENDED" and len(saga.context["events"]) == 1

    on(database, scenario)


def test_an_event_is_applied_once_also_when_the_step_fails_on_it(database):
    """A step that fails after its event is tried again with that event, which is applied once."""
    seen = []

    def first(ctx):
        seen.append([each["payload"]["n"] for each in ctx.events])
        return Word(word="go")

    def behave(attempt, inp):
        if attempt == 1:
            return StepAwaitEvent()
        return failing(3)(attempt, inp)

    async def scenario(bench):
        options = {"retry_policy": FixedRetry(3)}
        saga_id = await bench.begin(chain(Step("a", [], behave), first=first, step0=options))
        assert await bench.ingest("e", payload={"n": 7})
        assert await bench.orchestrator.run_inbox_due() == 1
        assert not await bench.ingest("e", payload={"n": 7})
        assert await bench.orchestrator.run_inbox_due() == 0
        while await bench.status(saga_id) == "SUSPENDED":
            assert await bench.notify(saga_id, {"n": 8}) is NotifyResult.NOT_WAITING
            assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"
        assert seen == [[], [7], [7], [7]]

    on(database, scenario)


def test_an_early_event_is_kept(database):
    """An event that comes before its saga, or before it waits, is delivered when it waits."""

    async def scenario(bench):
        assert await bench.ingest("e", payload={"n": 1})
        assert await bench.orchestrator.run_inbox_due() == 0
        saga_id = await bench.begin(chain(Plain(), Step("a", [], wait_once)))
        assert await bench.status(saga_id) == "SUSPENDED"
        assert await bench.orchestrator.run_inbox_due() == 1
        saga = await bench.see(saga_id)
        assert saga.status == "COMPLETED" and saga.context["latest_event"] == {"n": 1}

    on(database, scenario)


def test_two_events_are_applied_one_per_wait_and_in_order(database):
    """Each wait takes the oldest event that is left; the other waits for the next one."""

    async def scenario(bench):
        step = Step("a", [], lambda attempt, inp: StepAwaitEvent() if attempt <= 2 else None)
        saga_id = await bench.begin(chain(step))
        for n in (1, 2):
            await bench.ingest(f"e{n}", payload={"n": n})
        assert await bench.orchestrator.run_inbox_due() == 1
        assert await bench.status(saga_id) == "SUSPENDED"
        assert await bench.orchestrator.run_inbox_due() == 1
        saga = await bench.see(saga_id)
        assert saga.status == "COMPLETED"
        assert [each["payload"]["n"] for each in saga.context["events"]] == [1, 2]

    on(database, scenario)


@pytest.mark.parametrize("many", [3, 250])
def test_events_that_nobody_takes_stand_in_nobodys_way(database, many):
    """An event is delivered however many before it are of another type, or for sagas that ended."""

    async def scenario(bench):
        bench.orchestrator.register("typed", chain(Step("a", [], waits_for(TYPED))))
        bench.orchestrator.register("done", chain(Plain()))
        done = await bench.begin(name="done", key="done")
        saga_id = await bench.begin(name="typed")
        for n in range(many):
            await bench.ingest(f"x{n}", "other")
            await bench.ingest(f"y{n}", "paid", saga_id=done)
        event = fits(event_id="right")
        assert await bench.orchestrator.ingest_event(event, saga_id=saga_id)
        assert await bench.orchestrator.run_inbox_due(limit=1) == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_the_inbox_does_no_more_than_its_limit(database):
    """At most ``limit`` events are delivered, and the rest the next time."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", [], lambda *_: TYPED)))
        for n in range(5):
            await bench.begin(key=str(n))
            event = fits(event_id=f"e{n}")
            await bench.orchestrator.ingest_event(event, aggregation_id=str(n))
        assert [await bench.orchestrator.run_inbox_due(limit) for limit in (0, 2, 2, 2, 2)] == [
            *(0, 2, 2, 1, 0)
        ]

    on(database, scenario)


def test_an_event_that_notify_brought_is_not_delivered_again(database):
    """An event in the inbox that came by notify as well is applied once."""
    journal = []

    async def scenario(bench):
        step = Step("a", journal, lambda attempt, inp: StepAwaitEvent() if attempt <= 2 else None)
        saga_id = await bench.begin(chain(step))
        await bench.ingest("e")
        assert await bench.notify(saga_id, {"event_id": "e", "payload": {}})
        assert await bench.orchestrator.run_inbox_due() == 0
        assert journal == ["do a"] * 2
        await bench.ingest("f")
        assert await bench.orchestrator.run_inbox_due(limit=1) == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_an_event_is_delivered_once_by_many_workers(database):
    """Workers that empty one inbox at the same time give each event to its saga once."""

    async def scenario(bench):
        definition = chain(Step("a", [], lambda *_: StepAwaitEvent()))
        workers = [bench.another(engine=database.engine())[0] for _ in range(3)]
        for each in (bench.orchestrator, *workers):
            each.register("saga", definition)
        ids = [await bench.begin(key=str(n)) for n in range(6)]
        for n in range(6):
            await bench.ingest(f"e{n}", aggregation_id=str(n))
        done = await asyncio.gather(*[each.run_inbox_due() for each in workers])
        assert sum(done) == 6
        for saga_id in ids:
            assert len((await bench.see(saga_id)).context["events"]) == 1

    on(database, scenario)


def test_an_event_is_stored_once_however_often_it_is_sent(database):
    """Of many that store one event at the same time, one is told that it did."""

    async def scenario(bench):
        told = await asyncio.gather(*[bench.ingest("e") for _ in range(8)])
        assert sorted(told) == [False] * 7 + [True]

    on(database, scenario)


def test_a_saga_that_is_not_known_here_keeps_its_events(database):
    """The inbox leaves events of unknown sagas to workers that know them."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        await bench.ingest("e")
        stranger, _ = bench.another()
        assert await stranger.run_inbox_due() == 0
        assert await bench.orchestrator.run_inbox_due() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_a_broken_saga_keeps_no_event_from_others(database, caplog):
    """An event for a saga whose step is gone is logged and kept, and the next one is delivered."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", [], lambda *_: StepAwaitEvent())))
        broken, sound = await bench.begin(key="broken"), await bench.begin(key="sound")
        await bench.force(broken, current_step_index=7)
        await bench.ingest("e", aggregation_id="broken")
        await bench.ingest("f", aggregation_id="sound")
        assert await bench.orchestrator.run_inbox_due() == 1
        assert len((await bench.see(sound)).context["events"]) == 1
        assert "event e could not be delivered" in caplog.text

    on(database, scenario)


def test_await_event_says_what_is_waited_for(database):
    """await_event replaces what the saga waits for, and hands out the one token that is good."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], waits_for(TYPED))))
        old = (await bench.see(saga_id)).step_execution_token
        event = AwaitingEvent(event_type="new", until=START + 2 * DAY)
        token = await bench.orchestrator.await_event(saga_id, event)
        assert token == (await bench.see(saga_id)).step_execution_token != old
        notify = bench.orchestrator.notify_detailed
        assert await notify(saga_id, old, fits()) is NotifyResult.STALE_TOKEN
        assert await notify(saga_id, token, fits()) is NotifyResult.WRONG_EVENT_TYPE
        assert await bench.later() == 0
        assert await notify(saga_id, token, fits(event_type="new")) is NotifyResult.ACCEPTED
        with pytest.raises(SagaStateError, match="COMPLETED"):
            await bench.orchestrator.await_event(saga_id, event)

    on(database, scenario)


def test_the_until_of_await_event_fires_by_itself(database):
    """A saga whose awaited event did not come is TIMEOUT with the next run_due."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        assert await bench.later() == 0
        event = AwaitingEvent(until=bench.clock.now + DAY)
        await bench.orchestrator.await_event(saga_id, event)
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "TIMEOUT"

    on(database, scenario)
