"""The tables: what the mixins add to models, and the ready-made ones."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from saga_tools import Base, Plain, Step, Word, chain, on, wait_once
from sqlalchemy import Index, String, inspect, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from milo_durable import (
    InboxMessageMixin,
    SagaDefinitionError,
    SagaOrchestrator,
    SagaStateMixin,
    open_orchestrator,
)


async def indexes_of(engine, table):
    """The names of the indexes of a table, and which are unique."""
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda plain: inspect(plain).get_indexes(table))
    return {each["name"]: bool(each["unique"]) for each in found}


def test_the_indexes_of_the_mixin(database):
    """A saga table has its three indexes, and an inbox its two."""

    async def scenario(bench):
        assert await indexes_of(bench.engine, "saga") == {
            "uq_saga_active": True,
            "ix_saga_due": False,
            "ix_saga_created": False,
        }
        assert {"ix_inbox_saga", "ix_inbox_aggregation"} <= set(
            await indexes_of(bench.engine, "inbox")
        )

    on(database, scenario)


def test_the_indexes_beside_table_args(database):
    """A model's own columns and __table_args__ stand beside what the mixin adds."""

    class Own(DeclarativeBase):
        pass

    class Shared(SagaStateMixin, Own):
        __abstract__ = True

    class Orders(Shared):
        __tablename__ = "orders"
        __table_args__ = (Index("ix_orders_shop", "shop"), {"comment": "sagas of orders"})
        shop: Mapped[str | None] = mapped_column(String(20))
        kind: Mapped[str] = mapped_column(String(20), default="order")
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "order"}  # noqa: RUF012

    class Special(Orders):
        __mapper_args__ = {"polymorphic_identity": "special"}  # noqa: RUF012  # read once

    async def scenario():
        await database.create(Own.metadata)
        return await indexes_of(database.engine(), "orders")

    assert database.run(scenario) == {
        "ix_orders_shop": False,
        "uq_orders_active": True,
        "ix_orders_due": False,
        "ix_orders_created": False,
    }
    assert len(Special.__table__.indexes) == 4


def test_the_index_holds_where_nobody_checks(database):
    """The database itself refuses a second active saga of an aggregation, and no ended one."""

    async def scenario(bench):
        bench.orchestrator.register("done", chain(Plain()))
        for _ in range(3):
            await bench.begin(name="done")
        await bench.begin(chain(Step("a", [], wait_once)))
        async with bench.engine.connect() as connection:
            with pytest.raises(Exception, match=r"(?i)unique"):
                await connection.execute(text("UPDATE saga SET status = 'SUSPENDED'"))

    on(database, scenario)


def test_moments_come_back_as_they_were(database):
    """Deadlines are aware and in UTC on both databases, whatever zone the clock is in."""

    async def scenario(bench):
        zone = timezone(timedelta(hours=5, minutes=30))
        bench.clock.now = datetime(2030, 1, 1, 4, 0, 0, 123456, tzinfo=zone)
        saga = await bench.see(await bench.begin(chain(Step("a", [], wait_once))))
        assert saga.created_at == bench.clock.now
        assert saga.created_at.utcoffset() == timedelta(0)

    on(database, scenario)


def test_a_model_without_the_mixin():
    """What is no mapped class with the mixin is refused by its name."""
    for model in (Word, SagaStateMixin, Base, None):
        with pytest.raises(SagaDefinitionError, match="SagaStateMixin"):
            SagaOrchestrator(model, None)


def test_the_ready_made_tables(tmp_path):
    """open_orchestrator makes tables on SQLite, and finds what is in them the next time."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'sagas.db'}"

    async def scenario():
        async with open_orchestrator(url) as orchestrator:
            orchestrator.register("saga", chain(Step("a", [], wait_once)))
            saga_id = await orchestrator.start("saga", {"word": "go"}, "key")
            assert await orchestrator.ingest_event({"event_id": "e"}, aggregation_id="key")
        async with open_orchestrator(url, lease=timedelta(minutes=1)) as orchestrator:
            orchestrator.register("saga", chain(Plain()))
            assert await orchestrator.run_inbox_due() == 1
            assert (await orchestrator.get_snapshot(saga_id)).status == "COMPLETED"
            assert await orchestrator.run_due() == 0

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_opening_what_is_no_option(tmp_path):
    """A wrong option or lease is refused, and the connections are closed."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'sagas.db'}"

    async def opening(**options):
        async with open_orchestrator(url, **options):
            raise AssertionError("it opened")

    async def scenario():
        with pytest.raises(TypeError, match="leases"):
            await opening(leases=1)
        with pytest.raises(SagaDefinitionError, match="lease must be"):
            await opening(lease=timedelta(0))

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_model_may_be_used_as_one(database):
    """A row added by hand, with defaults, is a saga that is taken up when it is due."""

    async def scenario(bench):
        from saga_tools import Saga

        bench.orchestrator.register("saga", chain(Plain()))
        saga_id, now = uuid.uuid4(), datetime(2029, 1, 1, tzinfo=UTC)
        row = Saga(id=saga_id, saga_name="saga", aggregation_id="key", deadline_at=now)
        row.created_at = row.updated_at = now
        row.context = {"initial_data": {"word": "go"}, "outputs": {}}
        async with bench.sessions() as session, session.begin():
            session.add(row)
        assert await bench.orchestrator.run_due() == 1
        assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_an_orchestrator_without_an_inbox(database):
    """Without an inbox the calls that need one say which argument is missing, or there is one."""

    async def scenario(bench):
        from saga_tools import Inbox, Saga

        assert issubclass(Inbox, InboxMessageMixin)
        bare = SagaOrchestrator(Saga, bench.sessions)
        with pytest.raises(SagaDefinitionError, match="inbox_model_class"):
            await bare.run_inbox_due()

    on(database, scenario)
