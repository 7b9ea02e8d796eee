"""Models, steps and a bench that the tests of durable sagas share."""

import contextlib
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase

from milo_durable import (
    BaseStep,
    InboxMessageMixin,
    SagaAdmin,
    SagaBuilder,
    SagaOrchestrator,
    SagaStateMixin,
    StepAwaitEvent,
)

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Base(DeclarativeBase):
    """The base of the tables here."""


class Saga(Base, SagaStateMixin):
    """The saga table."""

    __tablename__ = "saga"


class Inbox(Base, InboxMessageMixin):
    """The inbox table."""

    __tablename__ = "inbox"


class Word(BaseModel):
    """What the steps here take and return."""

    word: str


class Step(BaseStep[Word, Word]):
    """Notes what it does in ``journal``, then does what ``behave`` and ``undo`` say.

    ``behave(attempt, inp)`` may be async; what it returns, if anything, is the step's result.
    """

    def __init__(self, name, journal, behave=None, undo=None):
        self.name, self.journal, self.behave, self.undo = name, journal, behave, undo
        self.attempts = 0

    async def execute(self, inp: Word) -> Word | StepAwaitEvent:
        self.attempts += 1
        self.journal.append(f"do {self.name}")
        result = None if self.behave is None else self.behave(self.attempts, inp)
        if hasattr(result, "__await__"):
            result = await result
        return Word(word=f"{inp.word}>{self.name}") if result is None else result

    async def compensate(self, inp: Word, out: Word) -> None:
        self.journal.append(f"undo {self.name} {inp.word} {out.word}")
        if self.undo is not None:
            result = self.undo()
            if hasattr(result, "__await__"):
                await result


class Plain(BaseStep[Word, Word]):
    """A step that cannot be undone."""

    async def execute(self, inp: Word) -> Word:
        return Word(word=f"{inp.word}>plain")


def refuse(attempt, inp):
    """Fail, always."""
    raise RuntimeError("refused")


def wait_once(attempt, inp):
    """Wait for an event, then go on."""
    return StepAwaitEvent() if attempt == 1 else None


def failing(times):
    """A behaviour that fails so often, then goes on."""

    def behave(attempt, inp):
        if attempt <= times:
            raise RuntimeError(f"failure {attempt}")

    return behave


def chain(*steps, version=1, compensate_on_failure=True, first=None, **options):
    """Steps of which each gets the output of the one before; ``step1={...}`` are its options."""
    builder, before = SagaBuilder(), None
    for index, step in enumerate(steps):
        given = {"input_map": lambda word: word, "depends_on": before}
        if before is None:
            given = {"input_map": first or (lambda ctx: Word(word=ctx.initial_data["word"]))}
        before = builder.add_step(step=step, **{**given, **options.get(f"step{index}", {})})
    return builder.build(version=version, compensate_on_failure=compensate_on_failure)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def forward(self, by=DAY):
        """Let the time ``by`` pass."""
        self.now += by


class Bench:
    """One database with an orchestrator, its admin and their clock."""

    def __init__(self, database, engine):
        self.database, self.engine = database, engine
        self.sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.clock = Clock()
        self.orchestrator, self.admin = self.another()

    def another(self, *, engine=None, clock=None, **options):
        """One more orchestrator with its admin on the same tables."""
        sessions = self.sessions if engine is None else async_sessionmaker(engine)
        made = SagaOrchestrator(Saga, sessions, Inbox, clock=clock or self.clock, **options)
        return made, SagaAdmin(made.engine)

    async def begin(self, definition=None, name="saga", key="key", word="go"):
        """Register the definition, if given, and start a saga of it."""
        if definition is not None:
            self.orchestrator.register(name, definition)
        return await self.orchestrator.start(name, {"word": word}, key)

    async def see(self, saga_id):
        """The saga as it is stored."""
        return await self.orchestrator.get_snapshot(saga_id)

    async def status(self, saga_id):
        """The status that is stored."""
        return (await self.see(saga_id)).status

    async def notify(self, saga_id, event, **kwargs):
        """Send an event with the token of now; what came of it."""
        token = (await self.see(saga_id)).step_execution_token
        return await self.orchestrator.notify_detailed(saga_id, token, event, **kwargs)

    async def ingest(self, event_id, event_type=None, payload=None, **to):
        """Put an event into the inbox, for ``key`` unless said otherwise."""
        event = {"event_id": event_id, "event_type": event_type, "payload": payload or {}}
        return await self.orchestrator.ingest_event(event, **(to or {"aggregation_id": "key"}))

    async def sagas(self):
        """Every row of the saga table."""
        async with self.sessions() as session:
            return (await session.execute(select(Saga))).scalars().all()

    async def force(self, saga_id, **values):
        """Write into a saga's row, as nobody should."""
        async with self.sessions() as session, session.begin():
            await session.execute(update(Saga).where(Saga.id == saga_id).values(**values))

    async def later(self):
        """Let a day pass and do what is due then; how many sagas were."""
        self.clock.forward()
        return await self.orchestrator.run_due()


def on(database, scenario):
    """Run ``scenario(bench)`` on new tables in ``database``."""

    async def whole():
        await database.create(Base.metadata)
        async with contextlib.AsyncExitStack() as stack:
            engine = database.engine()
            stack.push_async_callback(engine.dispose)
            return await scenario(Bench(database, engine))

    return database.run(whole)
