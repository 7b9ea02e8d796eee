"""A worker does what is due as soon as it is, and waits for nothing else."""

import asyncio
import logging
import signal
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, event, text
from worker_tools import (
    BRIEF,
    HOUR,
    Gate,
    Waiting,
    abandon,
    one_step,
    opened,
    orchestrator_on,
    two_steps,
    working,
)

from milo_durable import (
    AwaitingEvent,
    FixedRetry,
    SagaDefinitionError,
    SagaStatus,
    Worker,
    WorkerStats,
)
from milo_durable._bell import Bell
from milo_durable._table import channel_of
from milo_durable.worker import _Outage

PAID = {"payload": {"word": "paid"}}


def poll_for(database):
    """On PostgreSQL, where workers are woken, one that never passes."""
    return HOUR if database.kind == "postgres" else BRIEF


def test_a_saga_whose_worker_died_is_taken_up(database):
    """A worker finishes the saga that another left RUNNING, without being told of it."""

    async def scenario():
        last = Gate()
        orchestrator = await opened(database, order=two_steps(Gate(), last))
        saga_id = await abandon(database, "order")
        async with working(orchestrator, poll=HOUR) as worker:
            await last.entered.wait()
        return worker.stats, (await orchestrator.get_snapshot(saga_id)).status

    stats, status = database.run(scenario)
    assert (stats.taken, stats.failures, status) == (1, 0, SagaStatus.COMPLETED)


def test_the_next_attempt_is_made_when_it_is_due(database):
    """A worker sleeps until the deadline that comes next, not until it polls."""

    class Failing(Gate):
        async def execute(self, inp: str) -> str:
            if self.runs == 0:
                self.runs = 1
                raise ValueError(inp)
            return await super().execute(inp)

    async def scenario():
        step = Failing()
        retry = FixedRetry(1, timedelta(milliseconds=300))
        orchestrator = await opened(database, order=one_step(step, retry_policy=retry))
        await orchestrator.start("order", {"word": "w"}, "a")
        async with working(orchestrator, poll=HOUR):
            await step.entered.wait()
        return step.runs

    assert database.run(scenario) == 2


def test_an_event_is_delivered_when_it_is_stored(database):
    """Another process stores an event; on PostgreSQL that wakes the worker."""

    async def scenario():
        step = Waiting()
        orchestrator = await opened(database, order=one_step(step))
        await orchestrator.start("order", {}, "a")
        elsewhere = orchestrator_on(database.engine())
        async with working(orchestrator, poll=poll_for(database)) as worker:
            given = {"event_id": "1", "payload": {"word": "paid"}}
            assert await elsewhere.ingest_event(given, aggregation_id="a")
            await step.came.wait()
        return worker.stats.delivered

    assert database.run(scenario) == 1


def test_an_event_that_came_first_is_delivered_when_its_saga_waits(database):
    """That another process suspends a saga wakes the worker, too: its event is there already."""

    async def scenario():
        step = Waiting()
        orchestrator = await opened(database, order=one_step(step), other=one_step(Gate()))
        elsewhere = orchestrator_on(database.engine())
        elsewhere.register("order", one_step(Waiting()))
        async with working(orchestrator, poll=poll_for(database)):
            given = {"event_id": "1", "payload": {"word": "paid"}}
            await elsewhere.ingest_event(given, aggregation_id="a")
            await elsewhere.start("order", {}, "a")
            await step.came.wait()

    database.run(scenario)


def test_a_slow_saga_holds_up_no_other(database):
    """While one saga is in a long step, others are taken and finished."""

    async def scenario():
        slow, quick = Gate(is_open=False), Gate()
        orchestrator = await opened(
            database, slow=two_steps(slow, Gate()), quick=two_steps(Gate(), quick)
        )
        await abandon(database, "slow", aggregation_id="1")
        async with working(orchestrator, poll=BRIEF):
            await slow.entered.wait()
            await abandon(database, "quick", aggregation_id="2")
            await quick.entered.wait()
            slow.may_end.set()

    database.run(scenario)


def test_no_more_than_the_limit_are_driven_at_a_time(database):
    """With a limit of one, the second saga is begun when the first has ended, and at once."""

    async def scenario():
        gates = Gate(is_open=False), Gate()
        orchestrator = await opened(
            database, one=two_steps(gates[0], Gate()), two=two_steps(gates[1], Gate())
        )
        await abandon(database, "one", aggregation_id="1")
        await abandon(database, "two", aggregation_id="2")
        async with working(orchestrator, poll=HOUR, limit=1) as worker:
            await gates[0].entered.wait()
            assert (worker.stats.taken, gates[1].runs) == (1, 0)
            gates[0].may_end.set()
            await gates[1].entered.wait()

    database.run(scenario)


def test_a_stopped_worker_hands_over_what_it_has(database):
    """The step in flight ends and is recorded; another worker goes on after it, at once."""

    async def scenario():
        first, second = Gate(is_open=False), Gate()
        orchestrator = await opened(database, order=two_steps(first, second))
        saga_id = await abandon(database, "order")
        worker = Worker(orchestrator)
        running = asyncio.create_task(worker.run())
        await first.entered.wait()
        worker.stop()
        first.may_end.set()
        await running
        between = await orchestrator.get_snapshot(saga_id)
        assert (between.status, between.current_step_index) == (SagaStatus.RUNNING, 1)
        assert (worker.stats.handed_over, second.runs) == (1, 0)
        async with working(orchestrator):
            await second.entered.wait()
        return first.runs, (await orchestrator.get_snapshot(saga_id)).status

    assert database.run(scenario) == (1, SagaStatus.COMPLETED)


def test_a_step_that_outlasts_the_grace_period_is_cancelled(database, caplog):
    """It is cancelled, and its saga stays RUNNING until the lease has run out."""

    async def scenario():
        step = Gate(is_open=False)
        orchestrator = await opened(database, order=two_steps(step, Gate()))
        saga_id = await abandon(database, "order")
        async with working(orchestrator, grace=BRIEF):
            await step.entered.wait()
        saga = await orchestrator.get_snapshot(saga_id)
        is_left = saga.status == SagaStatus.RUNNING and saga.deadline_at > saga.updated_at
        return step.was_cancelled, is_left

    assert database.run(scenario) == (True, True)
    assert "1 in flight are cancelled" in caplog.text


def test_cancelling_the_run_cancels_its_steps(database):
    """Nothing of a worker runs on when ``run`` has been cancelled."""

    async def scenario():
        step = Gate(is_open=False)
        orchestrator = await opened(database, order=two_steps(step, Gate()))
        await abandon(database, "order")
        running = asyncio.create_task(Worker(orchestrator).run())
        await step.entered.wait()
        running.cancel()
        await asyncio.wait({running})
        return running.cancelled(), step.was_cancelled

    assert database.run(scenario) == (True, True)


def test_a_worker_that_was_stopped_before_takes_nothing(database):
    """``run`` after ``stop`` returns."""

    async def scenario():
        step = Gate()
        orchestrator = await opened(database, order=two_steps(step, Gate()))
        await abandon(database, "order")
        worker = Worker(orchestrator)
        worker.stop()
        await worker.run()
        return step.runs

    assert database.run(scenario) == 0


def test_a_database_that_goes_away_is_waited_for(database, caplog):
    """An outage is logged once, and once that it is over; then the work goes on."""
    caplog.set_level(logging.WARNING, "milo_durable")

    async def scenario():
        step, third = Gate(), asyncio.Event()
        orchestrator = await opened(database, order=two_steps(step, Gate()))
        await abandon(database, "order")
        failures = []

        def refuse(*_args):
            if len(failures) < 3:
                failures.append(1)
                raise ConnectionRefusedError("nobody listens")
            third.set()

        engine = orchestrator.engine.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", refuse)
        async with working(orchestrator, poll=BRIEF) as worker:
            await third.wait()
            await step.entered.wait()
        return worker.stats.failures

    assert database.run(scenario) == 3
    told = [each.getMessage() for each in caplog.records if each.name == "milo_durable.worker"]
    assert [line.partition(";")[0] for line in told] == [
        "the database does not answer",
        "the database answers again",
    ]


def test_a_worker_that_has_nothing_to_do_sleeps(database):
    """An event that no saga takes, and a deadline beyond the next look, keep no worker awake."""

    async def scenario():
        waits = Waiting()
        orchestrator = await opened(database, order=one_step(waits))
        saga_id = await orchestrator.start("order", {}, "a")
        until = datetime.now(UTC) + HOUR
        await orchestrator.await_event(saga_id, AwaitingEvent("paid", until=until))
        await orchestrator.ingest_event({"event_id": "1"} | PAID, aggregation_id="a")
        worker = Worker(orchestrator, poll=timedelta(minutes=1))
        seconds = await worker._round()
        await worker._bell.close()
        return seconds, worker.stats

    assert database.run(scenario) == (60, WorkerStats())


def test_a_long_outage_is_asked_about_less_and_less():
    """The pause doubles up to half a minute, and is short again after the end."""
    outage = _Outage(poll=5)
    outage.began(OSError())
    assert [outage.pause() for _ in range(4)] == [5, 10, 20, 30]
    outage.ended()
    assert outage.pause() == 5


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_cut_connection_is_made_again(database, monkeypatch, caplog):
    """When the connection that listens is lost, the worker makes another and is woken again."""
    monkeypatch.setattr("milo_durable._bell.SECONDS_BETWEEN_ATTEMPTS", 0)

    async def scenario():
        step = Waiting()
        orchestrator = await opened(database, order=one_step(step))
        engine = database.engine()
        async with working(orchestrator, poll=HOUR) as worker:
            await orchestrator.start("order", {}, "a")
            await orchestrator.ingest_event({"event_id": "1"} | PAID, None, "a")
            await step.came.wait()
            step.came.clear()
            listener = worker._bell._driver.get_server_pid()
            async with engine.begin() as connection:
                await connection.execute(text(f"SELECT pg_terminate_backend({listener})"))
            await orchestrator.start("order", {}, "b")
            await orchestrator.ingest_event({"event_id": "2"} | PAID, None, "b")
            await step.came.wait()
        return worker.stats.delivered

    assert database.run(scenario) == 2
    assert "listening on milo_saga_sagas was cut off" in caplog.text


def test_where_nobody_can_listen_the_worker_polls(database, monkeypatch, caplog):
    """A connection that refuses LISTEN costs a line in the log, not the work."""

    async def refuse(self):
        raise OSError("no more connections")

    monkeypatch.setattr(Bell, "_connect", refuse)

    async def scenario():
        step = Waiting()
        orchestrator = await opened(database, order=one_step(step))
        await orchestrator.start("order", {}, "a")
        async with working(orchestrator, poll=BRIEF):
            await orchestrator.ingest_event({"event_id": "1"} | PAID, None, "a")
            await step.came.wait()

    database.run(scenario)
    assert caplog.text.count("cannot listen") == (1 if database.kind == "postgres" else 0)


def test_the_handlers_before_are_put_back(database):
    """After ``run(handle_signals=True)`` SIGTERM and SIGINT do what they did before."""

    chosen = signal.SIGTERM, signal.SIGINT

    async def scenario():
        step = Gate()
        orchestrator = await opened(database, order=two_steps(Gate(), step))
        await abandon(database, "order")
        before = [signal.getsignal(each) for each in chosen]
        running = asyncio.create_task(Worker(orchestrator).run(handle_signals=True))
        await step.entered.wait()
        signal.raise_signal(signal.SIGINT)
        await running
        return before == [signal.getsignal(each) for each in chosen]

    assert database.run(scenario)


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": True}, {"poll": timedelta(0)}, {"grace": 5}]
)
def test_what_cannot_be_meant_is_refused(database, options):
    """A limit below one, or a span that is none, is an error when the worker is made."""

    async def scenario():
        with pytest.raises(SagaDefinitionError):
            Worker(orchestrator_on(database.engine()), **options)

    database.run(scenario)


def test_a_channel_has_a_name_that_postgresql_takes():
    """Names of tables that are too long for a channel are told apart by what is left of them."""
    tables = [Table(f"{'long' * 15}{end}", MetaData(), Column("id", Integer)) for end in "ab"]
    names = {channel_of(table) for table in tables}
    assert len(names) == 2 and all(len(name) < 64 for name in names)
