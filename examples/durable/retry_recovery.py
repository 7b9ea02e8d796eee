"""A step fails, then its process is killed; ``run_due`` of the next worker goes on each time.

    python examples/durable/retry_recovery.py
    python examples/durable/retry_recovery.py postgresql+asyncpg://user@host/database

So that nobody has to wait, the clocks of the second and third worker are ahead by a minute and
by ten. A worker of yours would call ``run_due`` every few seconds, for ever.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import BaseModel

from milo_durable import BaseStep, FixedRetry, SagaBuilder, SagaDefinition, open_orchestrator
from timeline import database_url, show


class Model(BaseModel):
    """The model that is deployed."""

    model: str


class Weights(BaseModel):
    """Where its weights are."""

    path: str


class Endpoint(BaseModel):
    """Where it answers."""

    url: str


class Download(BaseStep[Model, Weights]):
    """Get the weights. It runs once: what it returned is in the database."""

    async def execute(self, inp: Model) -> Weights:
        print("downloading the weights of", inp.model, flush=True)
        return Weights(path=f"/models/{inp.model}")


class Deploy(BaseStep[Weights, Endpoint]):
    """Start the model with ``start_server``, which differs from worker to worker here."""

    def __init__(self, start_server: Callable[[], str]) -> None:
        self.start_server = start_server

    async def execute(self, inp: Weights) -> Endpoint:
        print("deploying", inp.path, flush=True)
        return Endpoint(url=self.start_server())


def refuse() -> str:
    """There is no room on the node."""
    raise ConnectionError("no node is free")


def die() -> str:
    """As ``kill -9`` does: no exception, no clean-up."""
    os._exit(1)


def succeed() -> str:
    """A server runs."""
    return "http://qwen-4b.internal/v1"


def build(start_server: Callable[[], str]) -> SagaDefinition:
    """The saga: two steps; the second is tried again after a minute, up to three times."""
    builder = SagaBuilder()
    weights = builder.add_step(
        step_id="download",
        step=Download(),
        input_map=lambda ctx: Model.model_validate(ctx.initial_data),
    )
    builder.add_step(
        step_id="deploy",
        step=Deploy(start_server),
        depends_on=weights,
        input_map=lambda weights: weights,
        timeout=timedelta(minutes=5),
        retry_policy=FixedRetry(3, delay=timedelta(minutes=1)),
    )
    return builder.build()


async def start(url: str) -> UUID:
    """The first worker: starts the saga, whose second step is refused."""
    async with open_orchestrator(url) as orchestrator:
        orchestrator.register("deploy_model", build(refuse))
        saga_id = await orchestrator.start("deploy_model", {"model": "qwen-4b"}, "qwen-4b")
        show(await orchestrator.get_snapshot(saga_id))
        return saga_id


async def recover(url: str, saga_id: UUID, start_server: Callable[[], str], minutes: int) -> None:
    """Another worker, so many minutes later: takes up whatever is due."""

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=minutes)

    async with open_orchestrator(url, clock=clock) as orchestrator:
        orchestrator.register("deploy_model", build(start_server))
        print("the saga is", (await orchestrator.get_snapshot(saga_id)).status, flush=True)
        await orchestrator.run_due()
        show(await orchestrator.get_snapshot(saga_id))


def recover_and_die(url: str, saga_id: UUID) -> None:
    """What the second worker does, in a process of its own."""
    asyncio.run(recover(url, saga_id, die, minutes=1))


if __name__ == "__main__":
    with database_url() as url:
        saga_id = asyncio.run(start(url))
        print("\na minute later, in another process", flush=True)
        process = multiprocessing.get_context("spawn").Process(
            target=recover_and_die, args=(url, saga_id)
        )
        process.start()
        process.join()
        print(f"it died with exit code {process.exitcode}")
        print("\nten minutes later, in the first process again")
        asyncio.run(recover(url, saga_id, succeed, minutes=10))
