"""A database that goes away in the middle: nothing is lost, and the work goes on by itself."""

import asyncio
import logging
import sqlite3
import uuid
from datetime import timedelta

import pytest
from databases import Database, sqlite_in
from sqlalchemy import text
from sqlalchemy.engine import make_url
from worker_tools import (
    BRIEF,
    Gate,
    Waiting,
    abandon,
    one_step,
    opened,
    orchestrator_on,
    two_steps,
    working,
)

from milo_durable import SagaStatus, engine

SAGAS = 5
LEASE = timedelta(seconds=1)
AWAY = r"locked|connect|terminat|clos|cannot switch to state"  # in whatever state it was cut


class Place:
    """A database that can be cut off."""

    def __init__(self, database, cut, mend):
        self.database, self.cut, self.mend = database, cut, mend


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """SQLite that is locked for longer than anybody waits; PostgreSQL that takes no connections."""
    if request.param == "sqlite":
        yield from locked_sqlite(tmp_path)
    else:
        yield from closed_postgres(request.getfixturevalue("postgres_server"))


def locked_sqlite(folder):
    database = sqlite_in(folder)
    lock = sqlite3.connect(folder / "sagas.db", isolation_level=None, check_same_thread=False)

    async def cut():
        lock.execute("BEGIN IMMEDIATE")

    async def mend():
        lock.execute("ROLLBACK")

    yield Place(database, cut, mend)
    lock.close()


def closed_postgres(url):
    """A database of its own, for no other test must be cut off."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    server = Database(url, "public")

    async def tell(*statements):
        outside = server.engine(isolation_level="AUTOCOMMIT")
        async with outside.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await outside.dispose()

    async def cut():
        ends = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        await tell(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false', ends)

    async def mend():
        await tell(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    server.run(tell, f'CREATE DATABASE "{name}"')
    there = make_url(url).set(database=name).render_as_string(hide_password=False)
    yield Place(Database(there, "public"), cut, mend)
    server.run(tell, f'DROP DATABASE "{name}" WITH (FORCE)')


class Crowd(Gate):
    """A step of several sagas: it says when all of them are in it."""

    async def execute(self, inp: str) -> str:
        if self.runs + 1 == SAGAS:
            self.all_are_in.set()
        return await super().execute(inp)

    def __init__(self, is_open=True):
        super().__init__(is_open)
        self.all_are_in = asyncio.Event()


def impatient(database):
    """An engine that does not wait long for a lock."""
    return database.engine(connect_args={} if database.schema else {"timeout": 0.5})


def test_what_was_in_flight_goes_on_when_the_database_is_back(place, caplog, monkeypatch):
    """Steps that ended while it was away are run again, after their lease, and all sagas end."""
    monkeypatch.setattr(engine, "GRACE", timedelta(0))
    caplog.set_level(logging.WARNING, "milo_durable")
    database = place.database

    async def scenario():
        first, last = Crowd(is_open=False), Crowd()
        await opened(database)
        ids = [await abandon(database, "order", aggregation_id=str(n)) for n in range(SAGAS)]
        orchestrator = orchestrator_on(impatient(database), lease=LEASE)
        orchestrator.register("order", two_steps(first, last))
        async with working(orchestrator, poll=BRIEF) as worker:
            await first.all_are_in.wait()
            await place.cut()
            driving = list(worker._driving)
            first.may_end.set()
            await asyncio.wait(driving)
            assert last.runs == 0
            await place.mend()
            await last.all_are_in.wait()
        sagas = [await orchestrator.get_snapshot(saga_id) for saga_id in ids]
        return first.runs, last.runs, worker.stats.failures, sagas

    first, last, failures, sagas = database.run(scenario)
    assert {saga.status for saga in sagas} == {SagaStatus.COMPLETED}
    for saga in sagas:
        assert [each["status"] for each in saga.step_history] == ["SUCCESS", "SUCCESS"]
    assert min(first / 2, last, failures) >= SAGAS
    told = [each.getMessage() for each in caplog.records if each.name == "milo_durable.worker"]
    assert told[0].startswith("the database does not answer")
    assert told[-1] == "the database answers again"


def test_a_step_that_outlasts_the_outage_runs_once(place, caplog):
    """Its lease could not be renewed for a while; it is not cancelled, and what it did counts."""
    caplog.set_level(logging.WARNING, "milo_durable._work")
    database = place.database

    async def scenario():
        step, refused = Gate(is_open=False), asyncio.Event()
        handler = logging.Handler()
        handler.emit = lambda record: refused.set()
        logging.getLogger("milo_durable._work").addHandler(handler)
        await opened(database)
        orchestrator = orchestrator_on(impatient(database), lease=2 * LEASE)
        orchestrator.register("order", two_steps(step, Gate()))
        start = asyncio.create_task(orchestrator.start("order", {"word": "w"}, "a"))
        await step.entered.wait()
        await place.cut()
        await refused.wait()
        await place.mend()
        step.may_end.set()
        saga = await orchestrator.get_snapshot(await start)
        logging.getLogger("milo_durable._work").removeHandler(handler)
        return step.runs, step.was_cancelled, saga.status

    assert database.run(scenario) == (1, False, SagaStatus.COMPLETED)
    assert "a lease could not be renewed" in caplog.text


def test_an_event_that_could_not_be_stored_is_known_to_its_sender(place):
    """Whoever brings an event while the database is away is told; nothing is half done."""
    database = place.database

    async def scenario():
        step = Waiting()
        await opened(database)
        orchestrator = orchestrator_on(impatient(database))
        orchestrator.register("order", one_step(step))
        saga_id = await orchestrator.start("order", {}, "a")
        before = await orchestrator.get_snapshot(saga_id)
        event = {"event_id": "1", "payload": {"word": "paid"}}
        await place.cut()
        with pytest.raises(Exception, match=AWAY):
            await orchestrator.ingest_event(event, aggregation_id="a")
        with pytest.raises(Exception, match=AWAY):
            await orchestrator.notify(saga_id, before.step_execution_token, event)
        await place.mend()
        assert await orchestrator.get_snapshot(saga_id) == before and not step.came.is_set()
        assert await orchestrator.ingest_event(event, aggregation_id="a")
        assert await orchestrator.run_inbox_due() == 1
        return (await orchestrator.get_snapshot(saga_id)).status

    assert database.run(scenario) == SagaStatus.COMPLETED
