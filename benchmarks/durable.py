"""Durable sagas: what one costs beside the bare driver, SQLAlchemy Core and other libraries.

    .ci/postgres_server.py python benchmarks/durable.py [--peers PYTHON]

Needs a PostgreSQL server in ``TEST_DATABASE_URL``, as that script gives, and makes tables there
that it drops again. With ``--peers`` the interpreter of an environment that has
python-saga-orchestrator and dbos measures these, turn about with ours.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
)
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from durable_floors import Recording, aiosqlite_floor, asyncpg_floor, commits, core_floor
from measure import Row, at_once, best_of, report
from milo_durable import BaseStep, SagaBuilder, SagaDefinition, SagaOrchestrator, SagaStateMixin

WIDTH = 32
"""How many sagas run at the same time."""
CONNECTIONS = 16
"""How many each pool has, here and in peer_durable.py; a server takes a hundred by default."""
COUNTS = {1: 100, WIDTH: 10 * WIDTH}
PEER_COUNTS = {1: 20, WIDTH: 2 * WIDTH}
COUNTED = 50

Saga = Callable[[], Awaitable[object]]
T = TypeVar("T")


class Base(DeclarativeBase):
    pass


class OrderSaga(Base, SagaStateMixin):
    __tablename__ = "milo_bench_saga"


class Order(BaseModel):
    order_id: str


class Reservation(BaseModel):
    reservation_id: str


class Payment(BaseModel):
    payment_id: str


class Parcel(BaseModel):
    parcel_id: str


class Reserve(BaseStep[Order, Reservation]):
    async def execute(self, inp: Order) -> Reservation:
        return Reservation(reservation_id=f"res-{inp.order_id}")

    async def compensate(self, inp: Order, out: Reservation) -> None:
        return None


class Charge(BaseStep[Reservation, Payment]):
    async def execute(self, inp: Reservation) -> Payment:
        return Payment(payment_id=f"pay-{inp.reservation_id}")


class Ship(BaseStep[Payment, Parcel]):
    async def execute(self, inp: Payment) -> Parcel:
        return Parcel(parcel_id=f"par-{inp.payment_id}")


def definition() -> SagaDefinition:
    builder = SagaBuilder()
    reserved = builder.add_step(Reserve(), lambda ctx: Order(order_id=ctx.initial_data["order_id"]))
    charged = builder.add_step(
        Charge(), lambda out: Reservation(reservation_id=out.reservation_id), reserved
    )
    builder.add_step(Ship(), lambda out: Payment(payment_id=out.payment_id), charged)
    return builder.build()


@asynccontextmanager
async def tables(engine: AsyncEngine) -> AsyncIterator[Saga]:
    """What runs a saga of ours on ``engine``, with tables that are dropped at the end."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    orchestrator = SagaOrchestrator[OrderSaga](OrderSaga, async_sessionmaker(engine))
    orchestrator.register("order", definition())

    async def saga() -> object:
        order_id = str(uuid.uuid4())
        return await orchestrator.start("order", {"order_id": order_id}, aggregation_id=order_id)

    try:
        yield saga
    finally:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await engine.dispose()


class Peers:
    """Other libraries, in a process of their own that measures a turn when it is asked to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answer()  # that it is ready

    def turn(self, name: str, width: int) -> float:
        assert self._process.stdin is not None
        print(name, PEER_COUNTS[width], width, file=self._process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("the other libraries could not be measured; for the reason see above")
        return answer


@contextmanager
def peers_on(python: Path | None, file: Path) -> Iterator[Peers | None]:
    """The peers, on the same server and the same SQLite file; ``None`` without an interpreter."""
    if python is None:
        yield None
        return
    command = [python, Path(__file__).with_name("peer_durable.py"), file]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Peers(process)


def turn_of(runner: asyncio.Runner, width: int, saga: Saga) -> Callable[[], float]:
    """What measures a turn of ``saga``."""
    return lambda: runner.run(at_once(saga, COUNTS[width], width))


Timed = dict[str, tuple[float, Callable[[], float]]]
"""By the name of what is measured beside us: the limit, and what measures a turn of it."""


def compare(what: str, ours: Callable[[], float], timed: Timed) -> Iterator[Row]:
    """A row for each, all measured turn about."""
    for each in (ours, *[turn for _, turn in timed.values()]):
        each()  # connections are made, and statements compiled
    best, *others = best_of(ours, *[turn for _, turn in timed.values()])
    for (name, (limit, _)), floor in zip(timed.items(), others, strict=True):
        yield Row(f"{what}, beside {name}", best, floor, limit, "ms")


@contextmanager
def entered(runner: asyncio.Runner, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """``context`` in a block that is not async."""
    value = runner.run(context.__aenter__())
    try:
        yield value
    finally:
        runner.run(context.__aexit__(None, None, None))


def postgres_rows(runner: asyncio.Runner, url: str, peers: Peers | None) -> Iterator[Row]:
    engine = create_async_engine(url, pool_size=CONNECTIONS, max_overflow=0)
    with entered(runner, tables(engine)) as ours, ExitStack() as floors:
        recording = runner.run(Recording.of(ours, engine))
        core = floors.enter_context(entered(runner, core_floor(engine, recording)))
        driver = floors.enter_context(entered(runner, asyncpg_floor(url, recording, CONNECTIONS)))
        for width, what in ((1, "one at a time"), (WIDTH, f"{WIDTH} at once")):
            turn = partial(turn_of, runner, width)
            timed: Timed = {"asyncpg": (math.inf, turn(driver))}
            timed["SQLAlchemy Core"] = (math.inf if width == 1 else 1 / 0.6, turn(core))
            if peers is not None:
                orchestrator = partial(peers.turn, "saga-orchestrator", width)
                timed["saga-orchestrator"] = (1 / (5 if width == 1 else 10), orchestrator)
                limit = 1 / 2.5 if width == 1 else math.inf
                timed["DBOS"] = (limit, partial(peers.turn, "dbos", width))
            yield from compare(what, turn(ours), timed)
        yield Row("statements of a saga", len(recording.sent), 1, 4, "", absolute=True)


def commit_row(runner: asyncio.Runner, url: str) -> Iterator[Row]:
    """PostgreSQL's own count, which knows of commits that nobody here meant to make."""
    engine = create_async_engine(url, pool_size=1, max_overflow=0)
    with entered(runner, tables(engine)) as ours:
        (counted,) = best_of(lambda: runner.run(commits(engine, ours, COUNTED)))
        yield Row("commits of a saga", counted, 1, 4, "", absolute=True)


def sqlite_rows(runner: asyncio.Runner, file: Path, peers: Peers | None) -> Iterator[Row]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    with entered(runner, tables(engine)) as ours:
        recording = runner.run(Recording.of(ours, engine))
        with entered(runner, aiosqlite_floor(file, recording)) as floor:
            turn = partial(turn_of, runner, 1)
            timed: Timed = {"aiosqlite": (math.inf, turn(floor))}
            if peers is not None:
                orchestrator = partial(peers.turn, "saga-orchestrator-sqlite", 1)
                timed["saga-orchestrator"] = (1 / 3, orchestrator)
            yield from compare("SQLite", turn(ours), timed)


def write_ahead(file: Path) -> None:
    """Make the file, whose mode it keeps; each commit waits for the disk, as is the default."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def rows(url: str, python: Path | None) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        file = Path(folder) / "sagas.db"
        write_ahead(file)
        yield from commit_row(runner, url)  # before the peers, whose threads have commits, too
        with peers_on(python, file) as peers:
            yield from postgres_rows(runner, url, peers)
            yield from sqlite_rows(runner, file, peers)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure milo-durable beside floors and peers.")
    parser.add_argument("--check", action="store_true", help="exit with 1 on a missed limit")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="has the other libraries")
    given = parser.parse_args()
    url = os.environ.get("TEST_DATABASE_URL")
    if not url:
        parser.error(
            "there is no PostgreSQL server to measure on; name one in TEST_DATABASE_URL, or run "
            "this below .ci/postgres_server.py"
        )
    kept = report("milo-durable", rows(url, given.peers))
    if given.check and not kept:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
