"""Lives of a saga that between them reach every crash point.

A scenario may be run again after its process has died, as callers do who got no answer: it
looks how far the saga has come and goes on from there. Steps note what they do in a file.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from milo_durable import (
    AwaitingEvent,
    BaseStep,
    FixedRetry,
    NotifyEvent,
    OutboxDispatcher,
    SagaAdmin,
    SagaBuilder,
    SagaOrchestrator,
    SagaStatus,
    StepAwaitEvent,
)
from milo_durable.opening import InboxMessage, OutboxMessage, Saga, SagaBase
from milo_durable.status import ACTIVE

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AGAIN = FixedRetry(1, HOUR)


class Journal:
    """A file with a line for each thing that was done, in whichever process."""

    def __init__(self, path):
        self.path = path

    def note(self, line):
        """Add ``line``; how often it stands there now."""
        with self.path.open("a") as file:
            file.write(line + "\n")
        return self.lines().count(line)

    def lines(self):
        return self.path.read_text().splitlines() if self.path.exists() else []


class Step(BaseStep[Any, str]):
    """Notes what it does and then fails, waits or takes its time, as it was told."""

    def __init__(
        self, journal, name, *, fails=0, undo_fails=0, waits=None, takes=0.0, on_timeout="stop"
    ):
        self.journal, self.name, self.on_timeout = journal, name, on_timeout
        self.fails, self.undo_fails, self.waits, self.takes = fails, undo_fails, waits, takes

    async def execute(self, inp: Any) -> str | StepAwaitEvent:
        times = self.journal.note(f"do {self.name}")
        if times <= self.fails:
            raise RuntimeError(f"{self.name} fails")
        await asyncio.sleep(self.takes)
        if self.waits is not None:
            if inp is None:
                return self.waits()
            self.journal.note(f"got {inp}")
        return self.name

    async def compensate(self, inp: Any, out: str) -> None:
        times = self.journal.note(f"undo {out}")
        if times <= self.undo_fails:
            raise RuntimeError(f"{out} cannot be undone")


class Base(DeclarativeBase):
    """The base of the application's own tables."""


class Kept(Base):
    """A table of the application's: what steps record in it."""

    __tablename__ = "kept"
    id: Mapped[int] = mapped_column(primary_key=True)
    line: Mapped[str]


class Keeper(Step):
    """Records in a table what it has done and undone; there nothing may stand twice."""

    async def record(self, session, inp: Any, out: str) -> None:
        session.add(Kept(line=f"did {out}"))

    async def record_undo(self, session, inp: Any, out: str) -> None:
        session.add(Kept(line=f"undid {out}"))


class Bench:
    """An orchestrator with one saga, whose clock goes ahead by days."""

    def __init__(self, database, journal, name, *, ahead=timedelta(0)):
        self.name, self.ahead = name, ahead
        scenario = SCENARIOS[name]
        self.sessions = async_sessionmaker(database.engine(), expire_on_commit=False)
        options = {"clock": self.clock, "lease": scenario.lease}
        options |= {"outbox_model_class": OutboxMessage}
        self.journal = journal
        self.orchestrator = SagaOrchestrator[Saga](Saga, self.sessions, InboxMessage, **options)
        self.admin = SagaAdmin[Saga](engine=self.orchestrator.engine)
        builder = SagaBuilder()
        for step, retry in scenario.steps(journal):
            options = {"step_id": step.name, "on_timeout": step.on_timeout}
            options |= {"max_crashes": scenario.max_crashes}
            builder.add_step(step, _event, retry_policy=retry, **options)
        definition = builder.build(sequential=not scenario.parallel)
        limit = scenario.concurrency_limit
        self.orchestrator.register(name, definition, concurrency_limit=limit)

    def clock(self):
        return datetime.now(UTC) + self.ahead

    async def rows(self, kind=Saga):
        """What is in the table about this scenario."""
        async with self.sessions() as session:
            mine = select(kind).where(kind.aggregation_id == self.name)
            return (await session.execute(mine)).scalars().all()

    async def kept(self):
        """What steps have recorded, in order."""
        async with self.sessions() as session:
            return (await session.execute(select(Kept.line).order_by(Kept.id))).scalars().all()

    async def started(self, **when):
        """The one saga's id; it is started unless there is one."""
        rows = await self.rows()
        if rows:
            return rows[0].id
        return await self.orchestrator.start(self.name, {}, aggregation_id=self.name, **when)

    async def settled(self, saga_id):
        """The saga when nothing is due any more, however long one waits."""
        while True:
            self.ahead += DAY
            due = await self.orchestrator.run_due()
            if not due + await self.orchestrator.run_inbox_due():
                return await self.admin.get_saga(saga_id)


def _event(context):
    return None if context.latest_event is None else context.latest_event["said"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is done, and what comes of it when nobody dies."""

    steps: Callable[[Journal], list[tuple[Step, Any]]]
    play: Callable[[Bench], Awaitable[None]]
    ends: SagaStatus
    journal: tuple[str, ...]
    events: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    lease: timedelta = timedelta(minutes=5)
    parallel: bool = False
    """Whether all steps run at the same time."""
    max_crashes: int | None = None
    concurrency_limit: int | None = None


def any_event():
    return StepAwaitEvent()


def paid_within_hours():
    return StepAwaitEvent(until=datetime.now(UTC) + HOUR)


async def settle(bench):
    await bench.settled(await bench.started())


# Each is a play and the steps that it is about


async def pay(bench):
    saga_id = await bench.started()
    saga = await bench.settled(saga_id)
    if saga.status == SagaStatus.SUSPENDED:
        token = await bench.orchestrator.await_event(saga_id, AwaitingEvent(event_type="paid"))
        event = NotifyEvent({"said": "e1"}, event_id="e1", event_type="paid")
        assert await bench.orchestrator.notify(saga_id, token, event)
        await bench.settled(saga_id)


def bought(journal):
    return [
        (Step(journal, "a"), None),
        (Step(journal, "b", fails=1), AGAIN),
        (Step(journal, "w", waits=any_event), None),
        (Step(journal, "c"), None),
    ]


def refused(journal):
    return [
        (Step(journal, "a"), None),
        (Step(journal, "b", undo_fails=1), AGAIN),
        (Step(journal, "c"), None),
        (Step(journal, "d", fails=99), None),
    ]


def kept(journal):
    return [
        (Keeper(journal, "a"), None),
        (Step(journal, "b"), None),
        (Keeper(journal, "c", fails=1, undo_fails=1), AGAIN),
        (Step(journal, "d", fails=99), None),
    ]


def stuck(journal):
    return [
        (Step(journal, "a", undo_fails=99), None),
        (Step(journal, "b"), None),
        (Step(journal, "c", fails=99), None),
    ]


def slow(journal):
    return [(Step(journal, "a", takes=0.3), None), (Step(journal, "b"), None)]


def beside(journal):
    return [
        (Step(journal, "a", takes=0.3), None),
        (Step(journal, "b", fails=1), AGAIN),
        (Step(journal, "c"), None),
    ]


async def ingest(bench):
    """Two events that come before the saga waits for them, and are deleted when it has ended."""
    if not any(row.status == SagaStatus.COMPLETED for row in await bench.rows()):
        for name in ("e1", "e2"):
            event = NotifyEvent({"said": name}, event_id=name)
            await bench.orchestrator.ingest_event(event, aggregation_id=bench.name)
    await settle(bench)
    await bench.orchestrator.purge_inbox(older_than=HOUR)


async def wait_to_begin(bench):
    await bench.settled(await bench.started(after=HOUR))


async def let_workers_die(bench):
    """Whoever takes the saga the first time does nothing more, as if it had died."""
    saga_id = await bench.started(after=HOUR)
    bench.ahead += DAY
    await bench.orchestrator.engine.take_due(1)
    if (await bench.settled(saga_id)).status == SagaStatus.SUSPENDED:
        await bench.admin.retry_step(saga_id)
        await bench.settled(saga_id)


def two(journal):
    return [(Step(journal, "a"), None), (Step(journal, "b"), None)]


class Twice(Step):
    """Wants two events, one after the other."""

    async def execute(self, inp: Any) -> str | StepAwaitEvent:
        self.journal.note(f"do {self.name} {inp}")
        return self.name if inp == "e2" else StepAwaitEvent()


def told_twice(journal):
    return [(Step(journal, "a"), None), (Twice(journal, "w"), None), (Step(journal, "c"), None)]


async def give_up(bench):
    saga_id = await bench.started()
    if (await bench.settled(saga_id)).status == SagaStatus.TIMEOUT:
        await bench.admin.compensate_step(saga_id)
        await bench.settled(saga_id)


def unpaid(journal):
    return [
        (Step(journal, "a"), None),
        (Step(journal, "b"), None),
        (Step(journal, "w", waits=paid_within_hours), None),
    ]


def missed(journal):
    return [
        (Step(journal, "a"), None),
        (Step(journal, "b"), None),
        (Step(journal, "w", waits=paid_within_hours, on_timeout="compensate"), None),
    ]


async def end_the_wait(bench):
    saga_id = await bench.started()
    if (await bench.settled(saga_id)).status == SagaStatus.SUSPENDED:
        await bench.admin.expire(saga_id)
        await bench.settled(saga_id)


def unended(journal):
    return [
        (Step(journal, "a"), None),
        (Step(journal, "w", waits=any_event, on_timeout="compensate"), None),
    ]


async def operate(bench):
    """An operator has the first step tried again, skips it, and aborts at the second."""
    saga_id = await bench.started()
    while (saga := await bench.settled(saga_id)).status == SagaStatus.SUSPENDED:
        if saga.current_step_index == 1:
            await bench.admin.abort(saga_id)
        elif len(saga.step_history) > 1:
            await bench.admin.skip_step(saga_id, mock_output="skipped")
        else:
            await bench.admin.retry_step(saga_id)


def gates(journal):
    return [(Step(journal, name, waits=any_event), None) for name in ("g", "h", "i")]


def asks(message="m"):
    return StepAwaitEvent(outbox_events=[{"event_type": message}])


def asked(journal):
    return [
        (Step(journal, "a"), None),
        (Step(journal, "w", waits=asks), None),
        (Step(journal, "c", fails=1), AGAIN),
    ]


async def publish(bench):
    """What the saga asks is published at the second attempt; at its next wait a worker stops."""

    def send(message):
        if bench.journal.note(f"publish {message.event_type}") == 1:
            raise OSError("nobody takes it")

    saga_id = await bench.started()
    dispatcher = OutboxDispatcher(bench.orchestrator, send)
    for _ in range(2):
        await dispatcher.run_due()
        bench.ahead += DAY
    if (await bench.admin.get_saga(saga_id)).awaiting is not None:
        token = (await bench.admin.get_saga(saga_id)).step_execution_token
        assert await bench.orchestrator.notify(saga_id, token, NotifyEvent({"said": "e1"}, "e1"))
    bench.ahead += DAY
    engine = bench.orchestrator.engine
    claimed, _ = await engine.take_due(1)
    for saga in claimed:
        await engine.hand_over(saga)
    await bench.settled(saga_id)
    await dispatcher.purge(older_than=HOUR)


async def tell(bench):
    """An event comes when the saga waits for it, and no other comes."""
    saga_id = await bench.started()
    saga = await bench.settled(saga_id)
    if saga.status == SagaStatus.SUSPENDED:
        event = NotifyEvent({"said": "e1"}, event_id="e1")
        await bench.orchestrator.ingest_event(event, saga_id=saga_id)
        await bench.settled(saga_id)


def limited(journal):
    return [
        (Step(journal, "a"), None),
        (Step(journal, "b", fails=1), AGAIN),
        (Step(journal, "w", waits=any_event), None),
        (Never(journal, "v", on_timeout="compensate"), None),
    ]


class Never(Step):
    """Waits, whatever has come before."""

    async def execute(self, inp: Any) -> StepAwaitEvent:
        self.journal.note(f"do {self.name}")
        return paid_within_hours()


def clumsy(journal):
    return [
        (Step(journal, "a", fails=1, undo_fails=1), AGAIN),
        (Step(journal, "b", fails=99), None),
    ]


async def resume(bench):
    """Somebody goes on with the saga by hand, forward and back, until it has ended."""
    saga_id = await bench.started()
    while (await bench.admin.get_saga(saga_id)).status in ACTIVE:
        bench.ahead += DAY
        await bench.orchestrator.resume(saga_id)


SCENARIOS = {
    "bought": Scenario(
        steps=bought,
        play=pay,
        ends=SagaStatus.COMPLETED,
        journal=("do a", "do b", "do b", "do w", "do w", "got e1", "do c"),
        events=("e1",),
    ),
    "refused": Scenario(
        steps=refused,
        play=settle,
        ends=SagaStatus.COMPENSATED,
        journal=("do a", "do b", "do c", "do d", "undo c", "undo b", "undo b", "undo a"),
    ),
    "kept": Scenario(
        steps=kept,
        play=settle,
        ends=SagaStatus.COMPENSATED,
        journal=(
            *("do a", "do b", "do c", "do c", "do d"),
            *("undo c", "undo c", "undo b", "undo a"),
        ),
        kept=("did a", "did c", "undid c", "undid a"),
    ),
    "stuck": Scenario(
        steps=stuck,
        play=settle,
        ends=SagaStatus.FAILED,
        journal=("do a", "do b", "do c", "undo b", "undo a"),
    ),
    "slow": Scenario(
        steps=slow,
        play=settle,
        ends=SagaStatus.COMPLETED,
        journal=("do a", "do b"),
        lease=timedelta(milliseconds=300),
    ),
    "beside": Scenario(
        steps=beside,
        play=settle,
        ends=SagaStatus.COMPLETED,
        journal=("do a", "do b", "do c", "do b"),
        lease=timedelta(milliseconds=300),
        parallel=True,
    ),
    "told_twice": Scenario(
        steps=told_twice,
        play=ingest,
        ends=SagaStatus.COMPLETED,
        journal=("do a", "do w None", "do w e1", "do w e2", "do c"),
        events=("e1", "e2"),
    ),
    "asked": Scenario(
        steps=asked,
        play=publish,
        ends=SagaStatus.COMPLETED,
        journal=(
            *("do a", "do w", "publish m", "publish m"),
            *("do w", "got e1", "do c", "do c"),
        ),
        events=("e1",),
    ),
    "unpaid": Scenario(
        steps=unpaid,
        play=give_up,
        ends=SagaStatus.COMPENSATED,
        journal=("do a", "do b", "do w", "undo b", "undo a"),
    ),
    "scheduled": Scenario(
        steps=two,
        play=wait_to_begin,
        ends=SagaStatus.COMPLETED,
        journal=("do a", "do b"),
    ),
    "halted": Scenario(
        steps=two,
        play=let_workers_die,
        ends=SagaStatus.COMPLETED,
        journal=("do a", "do b"),
        max_crashes=1,
    ),
    "missed": Scenario(
        steps=missed,
        play=settle,
        ends=SagaStatus.COMPENSATED,
        journal=("do a", "do b", "do w", "undo b", "undo a"),
    ),
    "expired": Scenario(
        steps=unended,
        play=end_the_wait,
        ends=SagaStatus.COMPENSATED,
        journal=("do a", "do w", "undo a"),
    ),
    "resumed": Scenario(
        steps=clumsy,
        play=resume,
        ends=SagaStatus.COMPENSATED,
        journal=("do a", "do a", "do b", "undo a", "undo a"),
    ),
    "limited": Scenario(
        steps=limited,
        play=tell,
        ends=SagaStatus.COMPENSATED,
        journal=(
            *("do a", "do b", "do b", "do w", "do w", "got e1", "do v"),
            *("undo w", "undo b", "undo a"),
        ),
        events=("e1",),
        concurrency_limit=1,
    ),
    "operated": Scenario(
        steps=gates,
        play=operate,
        ends=SagaStatus.FAILED,
        journal=("do g", "do g", "do h"),
    ),
}


async def played(database, journal, name, *, ahead=timedelta(0)):
    """Play the scenario ``name`` to its end, from wherever it stands; its bench."""
    bench = Bench(database, journal, name, ahead=ahead)
    await SCENARIOS[name].play(bench)
    return bench


async def create_tables(database):
    await database.create(SagaBase.metadata)
    await database.create(Base.metadata)
