"""A deployment that fails after two completed steps, which are undone in reverse.

    python examples/durable/compensation_flow.py
    python examples/durable/compensation_flow.py postgresql+asyncpg://user@host/database

``compensate`` gets the input and the output of the step's last success. The third step never
succeeded, so nobody calls its ``compensate``.
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from milo_durable import BaseStep, SagaBuilder, SagaDefinition, open_orchestrator
from timeline import database_url, show


class Model(BaseModel):
    """The model that is deployed."""

    model: str


class Node(BaseModel):
    """Where it may run."""

    node: str


class Replica(BaseModel):
    """Where it runs."""

    node: str
    port: int


class Route(BaseModel):
    """How it is found."""

    address: str


class Provision(BaseStep[Model, Node]):
    """Get a node."""

    async def execute(self, inp: Model) -> Node:
        return Node(node=f"node-for-{inp.model}")

    async def compensate(self, inp: Model, out: Node) -> None:
        print("gave back", out.node)


class Deploy(BaseStep[Node, Replica]):
    """Start the model on the node."""

    async def execute(self, inp: Node) -> Replica:
        return Replica(node=inp.node, port=8000)

    async def compensate(self, inp: Node, out: Replica) -> None:
        print(f"stopped what ran on {out.node}:{out.port}")


class SwitchTraffic(BaseStep[Replica, Route]):
    """Send requests there; the gateway of this example has no room left."""

    async def execute(self, inp: Replica) -> Route:
        raise RuntimeError("the gateway takes no more routes")

    async def compensate(self, inp: Replica, out: Route) -> None:
        raise AssertionError("never called: the step has not succeeded")


def build() -> SagaDefinition:
    """The saga: with ``build(compensate_on_failure=False)`` it would stay as it is, FAILED."""
    builder = SagaBuilder()
    node = builder.add_step(
        step_id="provision",
        step=Provision(),
        input_map=lambda ctx: Model.model_validate(ctx.initial_data),
    )
    replica = builder.add_step(
        step_id="deploy", step=Deploy(), depends_on=node, input_map=lambda node: node
    )
    builder.add_step(
        step_id="switch_traffic",
        step=SwitchTraffic(),
        depends_on=replica,
        input_map=lambda replica: replica,
    )
    return builder.build()


async def main(url: str) -> None:
    """Start it; ``start`` does not raise what a step raised, the saga tells it."""
    async with open_orchestrator(url) as orchestrator:
        orchestrator.register("deploy_and_switch", build())
        saga_id = await orchestrator.start(
            saga_name="deploy_and_switch",
            initial_data={"model": "mistral-7b"},
            aggregation_id="mistral-7b",
        )
        saga = await orchestrator.get_snapshot(saga_id)
        show(saga)
        print("because of", saga.error)


if __name__ == "__main__":
    with database_url() as url:
        asyncio.run(main(url))
