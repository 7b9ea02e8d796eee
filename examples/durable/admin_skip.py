"""A step keeps failing; an operator does its work by hand, and skips it.

    python examples/durable/admin_skip.py
    python examples/durable/admin_skip.py postgresql+asyncpg://user@host/database

A step that is to be skipped has to be waiting for its next attempt: give it a retry policy with
attempts left for as long as a person may need. What the operator says it returned is validated
as its output is, and the following steps go on from that.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pydantic import BaseModel

from milo_durable import (
    BaseStep,
    FixedRetry,
    SagaAdmin,
    SagaBuilder,
    SagaDataError,
    SagaDefinition,
    open_orchestrator,
)
from timeline import database_url, show


class Model(BaseModel):
    """The model that is deployed."""

    model: str


class Endpoint(BaseModel):
    """Where it answers."""

    url: str


class CatalogEntry(BaseModel):
    """Its number in the catalog."""

    number: int


class Announcement(BaseModel):
    """What was told to everybody."""

    text: str


class Deploy(BaseStep[Model, Endpoint]):
    """Start the model."""

    async def execute(self, inp: Model) -> Endpoint:
        return Endpoint(url=f"http://{inp.model}.internal/v1")


class EnterInCatalog(BaseStep[Endpoint, CatalogEntry]):
    """Enter it in the catalog, which is down for as long as this example runs."""

    async def execute(self, inp: Endpoint) -> CatalogEntry:
        raise ConnectionError("the catalog is closed for maintenance")


class Announce(BaseStep[CatalogEntry, Announcement]):
    """Tell everybody."""

    async def execute(self, inp: CatalogEntry) -> Announcement:
        return Announcement(text=f"new in the catalog: number {inp.number}")


def build() -> SagaDefinition:
    """The saga: three steps in order; the second may be tried for two days."""
    builder = SagaBuilder()
    endpoint = builder.add_step(
        step_id="deploy",
        step=Deploy(),
        input_map=lambda ctx: Model.model_validate(ctx.initial_data),
    )
    entry = builder.add_step(
        step_id="enter_in_catalog",
        step=EnterInCatalog(),
        depends_on=endpoint,
        input_map=lambda endpoint: endpoint,
        retry_policy=FixedRetry(48, delay=timedelta(hours=1)),
    )
    builder.add_step(
        step_id="announce", step=Announce(), depends_on=entry, input_map=lambda entry: entry
    )
    return builder.build()


async def main(url: str) -> None:
    """Start it, see it fail, and do what an operator would."""
    async with open_orchestrator(url) as orchestrator:
        orchestrator.register("deploy_and_announce", build())
        saga_id = await orchestrator.start(
            saga_name="deploy_and_announce",
            initial_data={"model": "gemma-2b"},
            aggregation_id="gemma-2b",
        )
        admin = SagaAdmin(orchestrator.engine)
        show(await admin.get_saga(saga_id))

        print("\nthe operator tries again, in vain")
        saga = await admin.retry_step(saga_id)
        print(f"{saga.status} because of {saga.error}")

        print("\nthe operator makes the entry by hand, and skips the step")
        try:
            await admin.skip_step(saga_id, mock_output={"number": "seven"})
        except SagaDataError:
            print("refused: 'seven' is no number")
        show(await admin.skip_step(saga_id, mock_output={"number": 7}))


if __name__ == "__main__":
    with database_url() as url:
        asyncio.run(main(url))
