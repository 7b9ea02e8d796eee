"""An application with durable sagas, as ``milo saga --app saga_shop:...`` finds it.

SHOP_URL and SHOP_SCHEMA (``-`` for none) say where the database is; see ``Database``.
"""

import os
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from milo_durable import (
    BaseStep,
    FixedRetry,
    SagaBuilder,
    SagaOrchestrator,
    StepAwaitEvent,
    open_orchestrator,
)
from milo_durable.opening import InboxMessage, OutboxMessage, Saga

ALARMING = "declined \x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J \u202eback"
"""An error with colours, a title, a cleared screen and a change of direction in it."""


class Order(BaseModel):
    pay: str


class Payment(BaseModel):
    payment_id: str


class Reserve(BaseStep[Order, Order]):
    async def execute(self, inp: Order) -> Order:
        return inp

    def compensate(self, inp: Order, out: Order) -> None:
        print("released")
        os.system("echo released by a child")


class Charge(BaseStep[Order, Payment]):
    """Pays as the order says: at once, never, when an event comes, by letter, or slowly.

    That is once somebody opens the FIFO ``go``, and fails where there is none.
    """

    def execute(self, inp: Order) -> Payment | StepAwaitEvent:
        if inp.pay == "never":
            raise ValueError(ALARMING)
        if inp.pay == "by event":
            return StepAwaitEvent(["paid", "refused"], "corr-1")
        if inp.pay == "by letter":
            return StepAwaitEvent(["paid"], outbox_events=[{"event_type": "bill", "sum": 7}])
        if inp.pay == "slowly":
            print("charging", flush=os.path.exists("go"))
            open("go").close()
        return Payment(payment_id="p-1")


class Ship(BaseStep[Payment, Payment]):
    def execute(self, inp: Payment) -> Payment:
        return inp


def definition():
    builder = SagaBuilder()
    ref = builder.add_step(
        step_id="reserve",
        step=Reserve(),
        input_map=lambda ctx: Order(pay=ctx.initial_data["pay"]),
    )
    ref = builder.add_step(
        step_id="charge",
        step=Charge(),
        depends_on=ref,
        input_map=lambda order: order,
        retry_policy=FixedRetry(1, timedelta(hours=1)),
    )
    builder.add_step(step_id="ship", step=Ship(), depends_on=ref, input_map=lambda payment: payment)
    return builder.build()


def parcel():
    """Packing and labelling beside each other, then shipping."""
    builder = SagaBuilder()
    refs = [
        builder.add_step(
            step_id=step_id,
            step=Charge(),
            input_map=lambda ctx, *, key=step_id: Order(pay=ctx.initial_data[key]),
            retry_policy=FixedRetry(1, timedelta(hours=1)),
        )
        for step_id in ("pack", "label")
    ]
    builder.add_step(
        step_id="ship", step=Ship(), depends_on=refs, input_map=lambda packed, labelled: packed
    )
    return builder.build()


def made(**options):
    """An orchestrator that knows the order."""
    schema = os.environ["SHOP_SCHEMA"]
    settings = {} if schema == "-" else {"server_settings": {"search_path": schema}}
    engine = create_async_engine(os.environ["SHOP_URL"], connect_args=settings)
    models = (Saga, async_sessionmaker(engine), InboxMessage, OutboxMessage)
    orchestrator = SagaOrchestrator(*models, **options)
    orchestrator.register("order", definition())
    orchestrator.register("parcel", parcel())
    return orchestrator


async def made_later():
    """The same, from an async function."""
    return made()


@asynccontextmanager
async def opened():
    """The same, as long as it is needed."""
    print("opening the shop")
    async with open_orchestrator(os.environ["SHOP_URL"]) as orchestrator:
        orchestrator.register("order", definition())
        yield orchestrator
    print("closed the shop")


def empty():
    """An orchestrator that knows nothing."""
    return SagaOrchestrator(Saga, async_sessionmaker(create_async_engine(os.environ["SHOP_URL"])))


async def publish(message):
    """Send a message of the outbox."""
    print("published", message.event_type, message.event["sum"], flush=True)


def publish_nothing():
    """Takes no message."""


orchestrator = made() if "SHOP_URL" in os.environ else None
