"""Deleting what is done with: messages that were published, events that were delivered."""

from datetime import UTC, datetime, timedelta

import pytest
from saga_tools import DAY, Inbox, Step, chain, on
from sqlalchemy import select
from worker_tools import Outbox, Waiting, one_step, opened, orchestrator_on

from milo_durable import OutboxDispatcher, SagaDefinitionError, StepAwaitEvent, _crash, _purge

HOUR = timedelta(hours=1)


def later(**span):
    return lambda: datetime.now(UTC) + timedelta(**span)


async def numbers(orchestrator):
    """Those that the messages in the outbox have, in order."""
    async with orchestrator.engine.database.reading() as connection:
        rows = await connection.execute(select(Outbox.event).order_by(Outbox.id))
        return [row.event["n"] for row in rows]


async def published(database, count, *, fails=()):
    """An orchestrator of today whose outbox of yesterday has been published, but for some."""
    events = [{"n": number, "key": str(number)} for number in range(count)]
    now = await opened(database)
    past = orchestrator_on(database.engine(), clock=later(days=-1))
    past.register("order", one_step(Waiting(outbox_events=events)))
    await past.start("order", {}, "a")

    async def publish(message):
        if message.event["n"] in fails:
            raise OSError("nobody takes it")

    await OutboxDispatcher(past, publish).run_due(count)
    return now, OutboxDispatcher(now, publish)


def test_published_messages_are_deleted_when_they_are_old(database):
    """Younger ones stay, and so do those that are not published yet, however old."""

    async def scenario():
        orchestrator, dispatcher = await published(database, 6, fails=[1, 4])
        counts = [await dispatcher.purge(older_than=2 * DAY), await dispatcher.purge(HOUR)]
        return counts, await numbers(orchestrator)

    assert database.run(scenario) == ([0, 3], [1, 4, 5])


def test_no_id_is_given_twice(database):
    """A message that is stored after a purge has an id that no receiver has seen."""

    async def scenario():
        orchestrator, dispatcher = await published(database, 3)
        async with orchestrator.engine.database.reading() as connection:
            seen = set((await connection.execute(select(Outbox.id))).scalars())
        await dispatcher.purge(HOUR)
        orchestrator.register("order", one_step(Waiting(outbox_events=[{"n": 3}])))
        await orchestrator.start("order", {}, "b")
        sent = []
        await OutboxDispatcher(orchestrator, sent.append).run_due()
        return seen & {message.id for message in sent}, len(sent)

    assert database.run(scenario) == (set(), 1)


def test_many_are_deleted_in_batches(database, monkeypatch):
    """Each batch is a commit of its own, so that nobody waits for all of them."""
    monkeypatch.setattr(_purge, "BATCH", 3)

    async def scenario():
        orchestrator, dispatcher = await published(database, 8)
        commits = []
        with _crash.hooked(commits.append):
            total = await dispatcher.purge(HOUR)
        return total, commits, await numbers(orchestrator)

    total, commits, left = database.run(scenario)
    assert (total, left) == (7, [7])
    assert commits == ["outbox.purge.before", "outbox.purge.after"] * 3


def test_delivered_events_are_deleted_when_they_are_old(database):
    """What waits stays; what was deleted is known no more, and may be stored again."""

    async def scenario(bench):
        waits = Step("a", [], lambda *_: StepAwaitEvent(event_types=["wanted"]))
        await bench.begin(chain(waits))
        for event_id, kind in (("1", "wanted"), ("2", "other"), ("3", "wanted"), ("4", "other")):
            await bench.ingest(event_id, kind)
        while await bench.orchestrator.run_inbox_due():
            pass
        purge = bench.orchestrator.purge_inbox
        counts = [await purge(older_than=DAY)]
        bench.clock.forward()
        counts += [await purge(older_than=2 * DAY), await purge(DAY), await purge(DAY)]
        async with bench.sessions() as session:
            left = (await session.execute(select(Inbox.event_id).order_by(Inbox.id))).scalars()
        return counts, list(left), await bench.ingest("1"), await bench.ingest("2")

    assert on(database, scenario) == ([0, 0, 2, 0], ["2", "4"], True, False)


def test_what_others_are_at_is_passed_over(database):
    """On PostgreSQL a purge does not wait for rows that are locked; it leaves them."""
    if database.kind == "sqlite":
        return  # it has no locks on rows

    async def scenario():
        orchestrator, dispatcher = await published(database, 3)
        engine = database.engine()
        async with engine.connect() as connection:
            first = select(Outbox.id).order_by(Outbox.id).limit(1).with_for_update()
            await connection.execute(first)
            return await dispatcher.purge(HOUR), await numbers(orchestrator)

    assert database.run(scenario) == (1, [0, 2])


@pytest.mark.parametrize("wrong", [timedelta(0), -DAY, 7, None])
def test_how_old_has_to_be_said(database, wrong):
    """What is no length of time is refused, and nothing is deleted."""

    async def scenario():
        orchestrator, dispatcher = await published(database, 2)
        for purge in (dispatcher.purge, orchestrator.purge_inbox):
            with pytest.raises(SagaDefinitionError, match="older_than must be a timedelta above"):
                await purge(wrong)
        return await numbers(orchestrator)

    assert database.run(scenario) == [0, 1]


def test_an_empty_table_is_purged_of_nothing(database):
    """There is nothing to delete, and no error."""

    async def scenario():
        orchestrator = await opened(database)
        dispatcher = OutboxDispatcher(orchestrator, print)
        return await dispatcher.purge(HOUR), await orchestrator.purge_inbox(HOUR)

    assert database.run(scenario) == (0, 0)
