"""The saga of durable.py by python-saga-orchestrator and by DBOS, for the rows beside them.

durable.py runs this with the interpreter of an environment that has both, from Python 3.12 on,
and writes a line for each turn: what to measure, how many sagas, how many at the same time. The
answer is the ms that one took. Only what these libraries publish is used.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from dbos import DBOS
from pydantic import BaseModel
from saga_orchestrator import (
    BaseStep,
    SagaBuilder,
    SagaOrchestrator,
    SagaStateMixin,
    SagaStepHistoryMixin,
)
from sqlalchemy import ForeignKey, make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from measure import at_once

CONNECTIONS = 16
SCHEMA = "milo_bench_dbos"

# python-saga-orchestrator


class Base(DeclarativeBase):
    pass


class OrderHistory(Base, SagaStepHistoryMixin):
    __tablename__ = "milo_bench_peer_history"

    saga_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("milo_bench_peer_saga.id", ondelete="CASCADE"), index=True
    )


class OrderSaga(Base, SagaStateMixin):
    __tablename__ = "milo_bench_peer_saga"

    step_history: Mapped[list[OrderHistory]] = relationship(
        "OrderHistory", cascade="all, delete-orphan", order_by="OrderHistory.id"
    )


class Order(BaseModel):
    order_id: str


class Reservation(BaseModel):
    reservation_id: str


class Payment(BaseModel):
    payment_id: str


class Parcel(BaseModel):
    parcel_id: str


class Reserve(BaseStep[Order, Reservation]):
    async def execute(
        self, inp: Order, event_type: str | None = None, event_payload: Any | None = None
    ) -> Reservation:
        return Reservation(reservation_id=f"res-{inp.order_id}")

    async def compensate(
        self,
        inp: Order,
        out: Reservation,
        event_type: str | None = None,
        event_payload: Any | None = None,
    ) -> None:
        return None


class Charge(BaseStep[Reservation, Payment]):
    async def execute(
        self, inp: Reservation, event_type: str | None = None, event_payload: Any | None = None
    ) -> Payment:
        return Payment(payment_id=f"pay-{inp.reservation_id}")


class Ship(BaseStep[Payment, Parcel]):
    async def execute(
        self, inp: Payment, event_type: str | None = None, event_payload: Any | None = None
    ) -> Parcel:
        return Parcel(parcel_id=f"par-{inp.payment_id}")


def definition() -> Any:
    builder = SagaBuilder()
    reserved = builder.add_step(
        step=Reserve(), input_map=lambda ctx: Order(order_id=ctx.initial_data["order_id"])
    )
    charged = builder.add_step(
        step=Charge(),
        depends_on=reserved,
        input_map=lambda out: Reservation(reservation_id=out.reservation_id),
    )
    builder.add_step(
        step=Ship(),
        depends_on=charged,
        input_map=lambda out: Payment(payment_id=out.payment_id),
    )
    return builder.build()


class Orchestrator:
    """Its sagas on one database, on an event loop that lasts."""

    def __init__(self, runner: asyncio.Runner, url: str, **options: Any) -> None:
        self._runner = runner
        self._engine = create_async_engine(url, **options)
        self._orchestrator: Any = SagaOrchestrator(
            model_class=OrderSaga,
            history_model_class=OrderHistory,
            session_maker=async_sessionmaker(self._engine, expire_on_commit=False),
        )
        self._orchestrator.register("order", definition())
        runner.run(self._make_tables())

    def turn(self, count: int, width: int) -> float:
        return self._runner.run(at_once(self._saga, count, width))

    def close(self) -> None:
        self._runner.run(self._close())

    async def _saga(self) -> None:
        order_id = str(uuid.uuid4())
        await self._orchestrator.start(
            saga_name="order", initial_data={"order_id": order_id}, aggregation_id=order_id
        )

    async def _make_tables(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)

    async def _close(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await self._engine.dispose()


# DBOS, whose plain functions are quicker than its async ones


@DBOS.step()
def reserve(order_id: str) -> str:
    return f"res-{order_id}"


@DBOS.step()
def charge(reservation_id: str) -> str:
    return f"pay-{reservation_id}"


@DBOS.step()
def ship(payment_id: str) -> str:
    return f"par-{payment_id}"


@DBOS.workflow()
def order(order_id: str) -> str:
    return str(ship(charge(reserve(order_id))))


class Dbos:
    """Its workflows, in a schema of their own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._drop()
        DBOS(
            config={
                "name": "milo-bench",
                "system_database_url": url.replace("postgresql:", "postgresql+psycopg:", 1),
                "dbos_system_schema": SCHEMA,
                "sys_db_pool_size": CONNECTIONS,
                "log_level": "WARNING",
            }
        )
        DBOS.launch()

    def turn(self, count: int, width: int) -> float:
        ids = [str(uuid.uuid4()) for _ in range(count)]
        with ThreadPoolExecutor(width) as pool:
            begun = time.perf_counter()
            for _ in pool.map(order, ids):
                pass
            return (time.perf_counter() - begun) / count * 1e3

    def close(self) -> None:
        DBOS.destroy()
        self._drop()

    def _drop(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def main(file: str) -> None:
    url = os.environ["TEST_DATABASE_URL"]
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with asyncio.Runner() as runner:
        peers: dict[str, Orchestrator | Dbos] = {
            "saga-orchestrator": Orchestrator(runner, url, pool_size=CONNECTIONS, max_overflow=0),
            "saga-orchestrator-sqlite": Orchestrator(runner, f"sqlite+aiosqlite:///{file}"),
            "dbos": Dbos(plain),
        }
        print("ready", flush=True)
        for line in sys.stdin:
            name, count, width = line.split()
            turn: Callable[[int, int], float] = peers[name].turn
            print(turn(int(count), int(width)), flush=True)
        for peer in peers.values():
            peer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
