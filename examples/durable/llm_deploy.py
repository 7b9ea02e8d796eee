"""Deploy a language model: provision a node, deploy to it, check its health.

    python examples/durable/llm_deploy.py
    python examples/durable/llm_deploy.py postgresql+asyncpg://user@host/database

What each step returns is the input of the next, and is in the database before that begins.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pydantic import BaseModel

from milo_durable import (
    BaseStep,
    ExponentialRetry,
    SagaBuilder,
    SagaDefinition,
    open_orchestrator,
)
from timeline import database_url, show


class Order(BaseModel):
    """What somebody asked for."""

    model: str
    gpus: int


class Node(BaseModel):
    """Where a model may run."""

    name: str
    model: str


class Endpoint(BaseModel):
    """Where a model answers."""

    url: str


class Health(BaseModel):
    """What the endpoint says of itself."""

    healthy: bool


class Provision(BaseStep[Order, Node]):
    """Get a node with enough GPUs; the name is made of the order, so that twice gets one."""

    async def execute(self, inp: Order) -> Node:
        return Node(name=f"{inp.model}-on-{inp.gpus}-gpus", model=inp.model)

    async def compensate(self, inp: Order, out: Node) -> None:
        print("gave back", out.name)


class Deploy(BaseStep[Node, Endpoint]):
    """Start the model's server on the node."""

    async def execute(self, inp: Node) -> Endpoint:
        return Endpoint(url=f"http://{inp.name}.internal/v1")

    async def compensate(self, inp: Node, out: Endpoint) -> None:
        print("stopped", out.url)


class CheckHealth(BaseStep[Endpoint, Health]):
    """Ask the endpoint. There is nothing to undo."""

    async def execute(self, inp: Endpoint) -> Health:
        return Health(healthy=inp.url.startswith("http://"))


def build() -> SagaDefinition:
    """The saga: three steps in order."""
    builder = SagaBuilder()
    node = builder.add_step(
        step_id="provision",
        step=Provision(),
        input_map=lambda ctx: Order.model_validate(ctx.initial_data),
    )
    endpoint = builder.add_step(
        step_id="deploy",
        step=Deploy(),
        depends_on=node,
        input_map=lambda node: node,
        timeout=timedelta(minutes=10),
    )
    builder.add_step(
        step_id="check_health",
        step=CheckHealth(),
        depends_on=endpoint,
        input_map=lambda endpoint: endpoint,
        retry_policy=ExponentialRetry(max_attempts=5, base_delay=timedelta(seconds=2)),
    )
    return builder.build()


async def main(url: str) -> None:
    """Start one deployment and show what became of it."""
    async with open_orchestrator(url) as orchestrator:
        orchestrator.register("llm_deploy", build())
        saga_id = await orchestrator.start(
            saga_name="llm_deploy",
            initial_data={"model": "llama-8b", "gpus": 2},
            aggregation_id="llama-8b",
        )
        show(await orchestrator.get_snapshot(saga_id))


if __name__ == "__main__":
    with database_url() as url:
        asyncio.run(main(url))
