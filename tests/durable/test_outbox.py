"""What a step has to say is stored with its waiting, and published at least once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select
from worker_tools import HOUR, Outbox, Waiting, one_step, opened, orchestrator_on, working

from milo_durable import (
    FixedRetry,
    OutboxDispatcher,
    SagaAdmin,
    SagaDefinitionError,
    SagaStatus,
    open_orchestrator,
)

ASK = {"event_type": "payment.asked", "amount": 5}


async def asking(database, *events, **options):
    """An orchestrator with one saga that waits and has put ``events`` into the outbox."""
    step = one_step(Waiting(outbox_events=list(events)))
    orchestrator = await opened(database, order=step)
    await orchestrator.start("order", {}, "a")
    return orchestrator


async def rows_of(orchestrator):
    async with orchestrator.engine.database.reading() as connection:
        found = await connection.execute(select(Outbox.__table__).order_by(Outbox.id))
        return found.all()


def later(**span):
    return lambda: datetime.now(UTC) + timedelta(**span)


def test_a_waiting_step_has_its_events_published(database):
    """Each event reaches ``publish`` once, as the step gave it, in order."""

    async def scenario():
        orchestrator = await asking(database, ASK, {"key": "k", "event_type": None})
        published = []

        async def publish(message):
            published.append(message)

        dispatcher = OutboxDispatcher(orchestrator, publish)
        counts = [await dispatcher.run_due(), await dispatcher.run_due()]
        return counts, published, await rows_of(orchestrator)

    counts, published, rows = database.run(scenario)
    assert counts == [2, 0]
    assert [(each.event, each.event_type, each.key, each.attempt) for each in published] == [
        (ASK, "payment.asked", "a", 1),
        ({"key": "k", "event_type": None}, None, "k", 1),
    ]
    assert all(row.sent_at is not None and row.claimed_until is None for row in rows)


def test_a_plain_function_may_publish(database):
    """``publish`` need not be async."""

    async def scenario():
        orchestrator, published = await asking(database, ASK), []
        sent = await OutboxDispatcher(orchestrator, published.append).run_due()
        return sent, [message.event for message in published]

    assert database.run(scenario) == (1, [ASK])


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}])
def test_events_and_waiting_are_one_transaction(database, options):
    """When the outbox cannot be written, the saga does not wait, whatever the engine's ways."""

    async def scenario():
        await opened(database)
        orchestrator = orchestrator_on(database.engine(**options))
        orchestrator.register("order", one_step(Waiting(outbox_events=[ASK])))

        def refuse(connection, cursor, statement, *rest):
            if statement.startswith("INSERT INTO outbox"):
                raise ConnectionResetError("cut off")

        event.listen(orchestrator.engine.database.engine.sync_engine, *BEFORE, refuse)
        with pytest.raises(ConnectionResetError):
            await orchestrator.start("order", {}, "a")
        (found,) = await SagaAdmin(orchestrator.engine).list_sagas(aggregation_id="a")
        saga = await orchestrator.get_snapshot(found.id)
        return saga.status, saga.step_history, await rows_of(orchestrator)

    assert database.run(scenario) == (SagaStatus.RUNNING, (), [])


BEFORE = ("before_cursor_execute",)


def test_a_saga_that_was_lost_puts_nothing_out(database):
    """A worker whose saga has been taken over stores no events for it."""

    class Slow(Waiting):
        def __init__(self):
            super().__init__(outbox_events=[ASK])
            self.entered, self.may_end = asyncio.Event(), asyncio.Event()

        async def execute(self, inp: dict):
            self.entered.set()
            await self.may_end.wait()
            return await super().execute(inp)

    async def scenario():
        step = Slow()
        orchestrator = await opened(database, order=one_step(step))
        start = asyncio.create_task(orchestrator.start("order", {}, "a"))
        await step.entered.wait()
        other = orchestrator_on(database.engine(), clock=later(hours=1))
        other.register("order", one_step(Waiting()))
        assert await other.run_due() == 1
        step.may_end.set()
        await start
        return await rows_of(orchestrator)

    assert database.run(scenario) == []


def test_what_failed_is_tried_again_later(database, caplog):
    """The error is noted, others are published meanwhile, and the next attempt waits."""

    async def scenario():
        orchestrator = await asking(database, ASK, {"key": "k"})
        published = []

        async def publish(message):
            if message.event == ASK and message.attempt == 1:
                raise ConnectionRefusedError("no broker")
            published.append((message.id, message.event))

        dispatcher = OutboxDispatcher(orchestrator, publish)
        first = await dispatcher.run_due(), await dispatcher.run_due()
        rows = await rows_of(orchestrator)
        ahead = orchestrator_on(database.engine(), clock=later(seconds=2))
        second = await OutboxDispatcher(ahead, publish).run_due()
        return first, rows[0].last_error, second, published, (await rows_of(ahead))[0]

    first, error, second, published, row = database.run(scenario)
    assert (first, error, second) == ((1, 0), "ConnectionRefusedError: no broker", 1)
    assert [given for _, given in published] == [{"key": "k"}, ASK]
    assert (row.attempts, row.last_error) == (2, None)
    assert "could not be published, at attempt 1" in caplog.text


def test_what_a_dead_dispatcher_had_is_claimed_again(database):
    """Its messages are its own until the lease is over, and anybody's then."""

    async def scenario():
        orchestrator, published, began = await asking(database, ASK), [], asyncio.Event()

        async def hang(message):
            began.set()
            await asyncio.Event().wait()

        dying = asyncio.create_task(OutboxDispatcher(orchestrator, hang).run_due())
        await began.wait()
        early = await OutboxDispatcher(orchestrator, published.append).run_due()
        dying.cancel()
        await asyncio.wait({dying})
        after = orchestrator_on(database.engine(), clock=later(hours=1))
        return early, await OutboxDispatcher(after, published.append).run_due(), published

    early, after, published = database.run(scenario)
    assert (early, after, [message.attempt for message in published]) == (0, 1, [2])


def test_a_publisher_that_hangs_is_cut_off(database):
    """``publish`` has as long as the lease; that it took longer is an error as any other."""

    async def scenario():
        orchestrator = await asking(database, ASK, ASK)

        async def hang(message):
            await asyncio.Event().wait()

        dispatcher = OutboxDispatcher(orchestrator, hang, lease=timedelta(milliseconds=50))
        sent = 0
        while (await rows_of(orchestrator))[0].last_error is None:  # a slow claim leaves no time
            sent += await dispatcher.run_due()
        return sent, [row.last_error for row in await rows_of(orchestrator)]

    assert database.run(scenario) == (0, ["TimeoutError", None])


def test_dispatchers_share_the_work(database):
    """Of several that run at the same time each message is claimed by one."""

    async def scenario():
        events = [{"key": str(number)} for number in range(50)]
        orchestrator, published = await asking(database, *events), []

        async def publish(message):
            published.append(message.key)

        others = [orchestrator_on(database.engine()) for _ in range(3)]
        dispatchers = [OutboxDispatcher(each, publish) for each in (orchestrator, *others)]
        while len(published) < len(events):
            await asyncio.gather(*[each.run_due(5) for each in dispatchers])
        return sorted(published, key=int)

    assert database.run(scenario) == [str(number) for number in range(50)]


def test_a_limit_is_kept_and_the_oldest_come_first(database):
    """``run_due(limit)`` publishes that many."""

    async def scenario():
        orchestrator, published = await asking(database, *[{"n": n} for n in range(5)]), []
        dispatcher = OutboxDispatcher(orchestrator, published.append)
        counts = [await dispatcher.run_due(limit) for limit in (0, 2, 2, 2)]
        return counts, [message.event["n"] for message in published]

    assert database.run(scenario) == ([0, 2, 2, 1], [0, 1, 2, 3, 4])


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_limit_is_kept_whatever_the_plan(database):
    """PostgreSQL finds what is due once, also when it would rather look again for each row."""
    ways = ("hashjoin", "mergejoin", "material", "hashagg", "sort", "memoize")
    settings = {f"enable_{way}": "off" for way in ways}

    async def scenario():
        await asking(database, *[{"n": n} for n in range(9)])
        orchestrator = orchestrator_on(database.engine(connect_args={"server_settings": settings}))
        return await OutboxDispatcher(orchestrator, lambda message: None).run_due(2)

    assert database.run(scenario) == 2


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ({"event_type": "x"}, "must be a list of mappings"),
        ([{"event_type": 1}], "event_type of an outbox event must be a text"),
        ([{"at": HOUR}], "cannot be stored as JSON"),
    ],
)
def test_events_that_cannot_be_stored_fail_the_step(database, events, told):
    """The saga fails at once, retries or not, and says why."""

    async def scenario():
        step = one_step(Waiting(outbox_events=events), retry_policy=FixedRetry(3))
        orchestrator = await opened(database, order=step)
        saga = await orchestrator.get_snapshot(await orchestrator.start("order", {}, "a"))
        return saga.status, saga.error

    status, error = database.run(scenario)
    assert status == SagaStatus.FAILED and told in error


def test_without_an_outbox_a_step_that_needs_it_fails(database):
    """The error names the argument that is missing; the dispatcher's does, too."""

    async def scenario():
        await opened(database)
        orchestrator = orchestrator_on(database.engine(), outbox_model_class=None)
        orchestrator.register("order", one_step(Waiting(outbox_events=[ASK])))
        with pytest.raises(SagaDefinitionError, match="outbox_model_class"):
            OutboxDispatcher(orchestrator, print)
        saga = await orchestrator.get_snapshot(await orchestrator.start("order", {}, "a"))
        return saga.status, saga.error

    status, error = database.run(scenario)
    assert status == SagaStatus.FAILED and "outbox_model_class=" in error


def test_the_ready_made_orchestrator_has_an_outbox(tmp_path):
    """``open_orchestrator`` makes the table, and steps may put events out."""

    async def scenario():
        async with open_orchestrator(f"sqlite+aiosqlite:///{tmp_path / 's.db'}") as orchestrator:
            orchestrator.register("order", one_step(Waiting(outbox_events=[ASK])))
            await orchestrator.start("order", {}, "a")
            published = []
            await OutboxDispatcher(orchestrator, published.append).run_due()
            return [message.event for message in published]

    assert asyncio.run(scenario()) == [ASK]


def test_a_worker_publishes_what_its_sagas_put_out(database):
    """A dispatcher that a worker is given publishes as soon as the saga of others waits."""

    async def scenario():
        orchestrator = await opened(database)
        elsewhere = orchestrator_on(database.engine())
        elsewhere.register("order", one_step(Waiting(outbox_events=[ASK])))
        published, enough = [], asyncio.Event()

        async def publish(message):
            published.append(message.id)
            if len(published) == 3:
                enough.set()

        dispatcher = OutboxDispatcher(orchestrator, publish)
        poll = HOUR if database.kind == "postgres" else timedelta(milliseconds=10)
        async with working(orchestrator, dispatcher=dispatcher, limit=1, poll=poll) as worker:
            for number in range(3):
                await elsewhere.start("order", {}, str(number))
            await enough.wait()
        return sorted(published), worker.stats

    published, stats = database.run(scenario)
    assert published == [1, 2, 3] and (stats.sent, stats.failures) == (3, 0)


def test_a_worker_outlives_an_outbox_that_cannot_be_read(database, caplog):
    """The error counts as a failure, and the next round tries again."""

    async def scenario():
        orchestrator = await asking(database, ASK)
        done, failures = asyncio.Event(), []

        def refuse(connection, cursor, statement, *rest):
            if "UPDATE outbox" in statement and not failures:
                failures.append(1)
                raise ConnectionResetError("cut off")

        event.listen(orchestrator.engine.database.engine.sync_engine, *BEFORE, refuse)

        async def publish(message):
            done.set()

        dispatcher = OutboxDispatcher(orchestrator, publish)
        brief = timedelta(milliseconds=10)
        async with working(orchestrator, dispatcher=dispatcher, poll=brief) as worker:
            await done.wait()
        return worker.stats.sent, worker.stats.failures

    assert database.run(scenario) == (1, 1)


def test_a_publisher_must_be_a_function(database):
    """A dispatcher is not made of anything else."""

    async def scenario():
        with pytest.raises(SagaDefinitionError, match="publish must be a function"):
            OutboxDispatcher(orchestrator_on(database.engine()), "broker")

    database.run(scenario)
