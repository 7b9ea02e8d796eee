"""What the tests of workers and of the outbox share: tables, and steps that tell and wait."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase

from milo_durable import (
    BaseStep,
    InboxMessageMixin,
    OutboxMessageMixin,
    SagaAdmin,
    SagaBuilder,
    SagaOrchestrator,
    SagaStateMixin,
    SagaStatus,
    StepAwaitEvent,
    Worker,
)

HOUR = timedelta(hours=1)  # a poll that no test lives to see
BRIEF = timedelta(milliseconds=10)


class Base(DeclarativeBase):
    pass


class Saga(Base, SagaStateMixin):
    __tablename__ = "sagas"


class Inbox(Base, InboxMessageMixin):
    __tablename__ = "inbox"


class Outbox(Base, OutboxMessageMixin):
    __tablename__ = "outbox"


def an_hour_ago():
    return datetime.now(UTC) - HOUR


class Gate(BaseStep[str, str]):
    """A step that says when it runs, and returns when it may."""

    def __init__(self, is_open=True):
        self.runs = 0
        self.entered, self.may_end = asyncio.Event(), asyncio.Event()
        self.was_cancelled = False
        if is_open:
            self.may_end.set()

    async def execute(self, inp: str) -> str:
        self.runs += 1
        self.entered.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return inp


class Waiting(BaseStep[dict, str]):
    """A step that waits for an event, and says when it has come."""

    def __init__(self, outbox_events=None):
        self.came, self.outbox_events = asyncio.Event(), outbox_events

    async def execute(self, inp: dict) -> str | StepAwaitEvent:
        if not inp:
            return StepAwaitEvent(outbox_events=self.outbox_events)
        self.came.set()
        return inp["word"]


def one_step(step, **options):
    """A saga of one step, which is given the word or the latest event."""
    builder = SagaBuilder()
    if isinstance(step, Waiting):
        builder.add_step(step=step, input_map=lambda ctx: ctx.latest_event or {}, **options)
    else:
        builder.add_step(step=step, input_map=lambda ctx: ctx.initial_data["word"], **options)
    return builder.build()


def two_steps(first, second):
    builder = SagaBuilder()
    ref = builder.add_step(step=first, input_map=lambda ctx: ctx.initial_data["word"])
    builder.add_step(step=second, input_map=lambda word: word, depends_on=ref)
    return builder.build()


def orchestrator_on(engine, **options):
    sessions = async_sessionmaker(engine)
    chosen = {"inbox_model_class": Inbox, "outbox_model_class": Outbox, **options}
    return SagaOrchestrator(Saga, sessions, **chosen)


async def opened(database, **sagas):
    """An orchestrator that knows ``sagas``, on tables that are there."""
    await database.create(Base.metadata)
    orchestrator = orchestrator_on(database.engine())
    for name, definition in sagas.items():
        orchestrator.register(name, definition)
    return orchestrator


async def abandon(database, name, word="w", aggregation_id="a"):
    """A saga whose worker began its first step an hour ago, and died; its id."""
    past = orchestrator_on(database.engine(), clock=an_hour_ago)
    stuck = Gate(is_open=False)
    past.register(name, two_steps(stuck, stuck))
    start = asyncio.create_task(past.start(name, {"word": word}, aggregation_id))
    await stuck.entered.wait()
    start.cancel()
    await asyncio.wait({start})
    admin = SagaAdmin(past.engine)
    (saga,) = await admin.list_sagas(aggregation_id=aggregation_id, status=SagaStatus.RUNNING)
    return saga.id


@asynccontextmanager
async def working(orchestrator, **options):
    """A worker that runs meanwhile, and is stopped at the end."""
    worker = Worker(orchestrator, **options)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await running
