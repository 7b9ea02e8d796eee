"""The inbox that sagas have without a model of their own for it, and when they have none."""

import asyncio
from datetime import timedelta

import pytest
from saga_tools import Step, chain, wait_once
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from worker_tools import working

from milo_durable import (
    FixedRetry,
    InboxMessageMixin,
    SagaDefinitionError,
    SagaOrchestrator,
    SagaStateMixin,
)

PAID = {
    "event_id": "evt-123",
    "event_type": "payment.completed",
    "correlation_id": "corr-123",
    "payload": {"payment_id": "pay-1"},
}


def models():
    """A base, and a saga model on it."""

    class Base(DeclarativeBase):
        pass

    class OrderSagaState(Base, SagaStateMixin):
        __tablename__ = "order_saga_state"

    return Base, OrderSagaState


def orchestrator_on(database, model):
    sessions = async_sessionmaker(database.engine())
    orchestrator = SagaOrchestrator(model_class=model, session_maker=sessions)
    orchestrator.register("saga", chain(Step("a", [], wait_once)))
    return orchestrator


async def deliver(orchestrator):
    """Start a saga, store its event, twice, and deliver it; how the saga has ended."""
    saga_id = await orchestrator.start("saga", {"word": "go"}, aggregation_id="order-123")
    stored = await orchestrator.ingest_event(aggregation_id="order-123", event=PAID)
    assert stored
    assert not await orchestrator.ingest_event(aggregation_id="order-123", event=PAID)
    assert await orchestrator.run_inbox_due(limit=100) == 1
    return (await orchestrator.get_snapshot(saga_id)).status


@pytest.mark.parametrize("first", ["tables", "orchestrator"])
def test_an_application_need_not_ask_for_an_inbox(database, first):
    """create_all makes its table with that of the sagas, before the orchestrator or after."""
    base, model = models()

    async def scenario():
        if first == "tables":
            await database.create(base.metadata)
        orchestrator = orchestrator_on(database, model)
        if first == "orchestrator":
            await database.create(base.metadata)
        return await deliver(orchestrator)

    assert database.run(scenario) == "COMPLETED"
    assert set(base.metadata.tables) == {"order_saga_state", "order_saga_state_inbox"}


def test_the_built_in_table_is_as_one_of_the_mixin():
    """It has its columns and, named after it, its indexes."""
    base, _ = models()

    class Other(DeclarativeBase):
        pass

    class Inbox(Other, InboxMessageMixin):
        __tablename__ = "order_saga_state_inbox"

    def described(table):
        columns = [(each.name, str(each.type), each.nullable) for each in table.columns]
        return columns, {(each.name, each.unique) for each in table.indexes}

    built_in = base.metadata.tables["order_saga_state_inbox"]
    assert described(built_in) == described(Inbox.__table__)


@pytest.mark.parametrize("name", ["order_saga_state_inbox", "messages"])
@pytest.mark.parametrize("first", ["saga", "inbox"])
def test_an_inbox_of_ones_own_takes_its_place(database, name, first):
    """The metadata then has no other, in whatever order the models are written."""

    class Base(DeclarativeBase):
        pass

    def inbox():
        class Inbox(Base, InboxMessageMixin):
            __tablename__ = name
            note: Mapped[str | None] = mapped_column()

        return Inbox

    own = inbox() if first == "inbox" else None

    class OrderSagaState(Base, SagaStateMixin):
        __tablename__ = "order_saga_state"

    own = own or inbox()
    assert set(Base.metadata.tables) == {"order_saga_state", name}
    assert Base.metadata.tables[name] is own.__table__

    async def scenario():
        await database.create(Base.metadata)
        sessions = async_sessionmaker(database.engine())
        orchestrator = SagaOrchestrator(OrderSagaState, sessions, own)
        orchestrator.register("saga", chain(Step("a", [], wait_once)))
        with pytest.raises(SagaDefinitionError, match="give it one as inbox_model_class="):
            await orchestrator_on(database, OrderSagaState).run_inbox_due()
        return await deliver(orchestrator)

    assert database.run(scenario) == "COMPLETED"


def test_every_saga_table_has_its_own(database):
    """Two in one metadata do not share events."""
    base, first = models()

    class Second(base, SagaStateMixin):
        __tablename__ = "other_saga"

    async def scenario():
        await database.create(base.metadata)
        ends = [await deliver(orchestrator_on(database, model)) for model in (first, Second)]
        async with database.engine().connect() as connection:
            names = await connection.run_sync(lambda plain: inspect(plain).get_table_names())
        return ends, {name for name in names if name.endswith("_inbox")}

    ends, inboxes = database.run(scenario)
    assert ends == ["COMPLETED", "COMPLETED"]
    assert inboxes == {"order_saga_state_inbox", "other_saga_inbox"}


def test_a_table_that_is_there_already_is_left_alone():
    """A name that the application uses for something else is not taken from it."""

    class Base(DeclarativeBase):
        pass

    class Mine(Base):
        __tablename__ = "order_saga_state_inbox"
        id: Mapped[int] = mapped_column(primary_key=True)

    class OrderSagaState(Base, SagaStateMixin):
        __tablename__ = "order_saga_state"

    assert Base.metadata.tables["order_saga_state_inbox"] is Mine.__table__
    assert SagaOrchestrator(OrderSagaState, async_sessionmaker(_engine())).inbox is None


def _engine():
    from sqlalchemy.ext.asyncio import create_async_engine

    return create_async_engine("sqlite+aiosqlite://")


def test_where_only_the_saga_table_was_made_the_rest_works(database):
    """Storing an event says what is missing; workers find nothing to deliver, and do the rest."""
    base, model = models()

    async def scenario():
        engine = database.engine()
        async with engine.begin() as connection:
            await connection.run_sync(model.__table__.create)
        orchestrator = orchestrator_on(database, model)
        with pytest.raises(SagaDefinitionError, match="'order_saga_state_inbox', is not in the"):
            await orchestrator.ingest_event(PAID, aggregation_id="key")
        assert await orchestrator.run_inbox_due() == 0
        taken = asyncio.Event()

        def behave(attempt, inp):
            if attempt == 1:
                raise RuntimeError("not yet")
            taken.set()

        at_once = {"retry_policy": FixedRetry(1, timedelta(0))}
        orchestrator.register("again", chain(Step("a", [], behave), step0=at_once))
        await orchestrator.start("again", {"word": "go"}, "key")
        async with working(orchestrator) as worker:
            await taken.wait()
        await database.create(base.metadata)
        return worker.stats.failures, await deliver(orchestrator)

    assert database.run(scenario) == (0, "COMPLETED")


def test_names_that_would_be_too_long_are_cut(database):
    """Tables with names as long as PostgreSQL takes them have an inbox, and indexes, too."""

    class Base(DeclarativeBase):
        pass

    class Long(Base, SagaStateMixin):
        __tablename__ = "n" * 63

    class Longish(Base, SagaStateMixin):
        __tablename__ = "n" * 50

    async def scenario():
        await database.create(Base.metadata)
        return [await deliver(orchestrator_on(database, model)) for model in (Long, Longish)]

    assert database.run(scenario) == ["COMPLETED", "COMPLETED"]
    names = [index.name for table in Base.metadata.tables.values() for index in table.indexes]
    names += Base.metadata.tables
    assert len(names) == len(set(names)) and max(map(len, names)) <= 63


def test_a_schema_is_kept():
    """The inbox is where the sagas are."""

    class Base(DeclarativeBase):
        pass

    class OrderSagaState(Base, SagaStateMixin):
        __tablename__ = "order_saga_state"
        __table_args__ = {"schema": "shop"}  # noqa: RUF012  # read once

    assert "shop.order_saga_state_inbox" in Base.metadata.tables
    orchestrator = SagaOrchestrator(OrderSagaState, async_sessionmaker(_engine()))
    assert orchestrator.inbox is not None
