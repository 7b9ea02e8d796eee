"""A step calls an HTTP service; the answer comes later, through a queue that repeats itself.

    python examples/durable/http_and_queue.py
    python examples/durable/http_and_queue.py postgresql+asyncpg://user@host/database

The service is real and runs on a thread of this process, as the queue does. The step that calls
it is a plain function: it runs on a thread, so it may block. The step that waits returns
``StepAwaitEvent``, and runs again when the consumer of the queue has delivered the event.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import BaseModel

from milo_durable import (
    BaseStep,
    ExponentialRetry,
    SagaBuilder,
    SagaDefinition,
    SagaOrchestrator,
    StepAwaitEvent,
    open_orchestrator,
)
from timeline import database_url, show
from training_service import TrainingService

FINISHED = "training.finished"


class Job(BaseModel):
    """What is to be trained."""

    job_id: str
    data: str


class Ticket(BaseModel):
    """The service has taken the job."""

    number: int


class Waiting(BaseModel):
    """A job, and what the service has sent about it."""

    job_id: str
    message: Mapping[str, Any] | None


class Trained(BaseModel):
    """How good the model is."""

    loss: float


class Submit(BaseStep[Job, Ticket]):
    """Hand the job in, with a key by which the service knows it again after a crash."""

    def __init__(self, service_url: str) -> None:
        self.service_url = service_url
        self.opener = build_opener(ProxyHandler({}))  # to this machine without a proxy

    def execute(self, inp: Job) -> Ticket:
        request = Request(
            f"{self.service_url}/jobs",
            data=inp.model_dump_json().encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": inp.job_id},
        )
        with self.opener.open(request, timeout=10) as response:
            return Ticket.model_validate(json.load(response))


class Wait(BaseStep[Waiting, Trained]):
    """Wait for the service's message about this job, for a day at most."""

    async def execute(self, inp: Waiting) -> Trained | StepAwaitEvent:
        if inp.message is None:
            until = datetime.now(UTC) + timedelta(days=1)
            return StepAwaitEvent([FINISHED], correlation_id=inp.job_id, until=until)
        return Trained.model_validate(inp.message)


def build(service_url: str) -> SagaDefinition:
    """The saga: submit, then wait."""
    builder = SagaBuilder()
    ticket = builder.add_step(
        step_id="submit",
        step=Submit(service_url),
        input_map=lambda ctx: Job(job_id=ctx.aggregation_id, data=ctx.initial_data["data"]),
        timeout=timedelta(seconds=30),
        retry_policy=ExponentialRetry(max_attempts=5, base_delay=timedelta(seconds=2)),
    )
    builder.add_step(
        step_id="wait",
        step=Wait(),
        depends_on=ticket,
        input_map=lambda ticket, *, ctx: Waiting(job_id=ctx.aggregation_id, message=ctx.event),
    )
    return builder.build()


async def consume(service: TrainingService, orchestrator: SagaOrchestrator[Any]) -> None:
    """The consumer of the queue: stores each message, once, and only then delivers it."""
    for message in await asyncio.to_thread(service.receive):
        stored = await orchestrator.ingest_event(message, aggregation_id=message["correlation_id"])
        print(message["event_type"], "is stored" if stored else "is known already")
    print("delivered:", await orchestrator.run_inbox_due())


async def main(url: str, service: TrainingService) -> None:
    """Start a job, and let the consumer bring the answer."""
    async with open_orchestrator(url) as orchestrator:
        orchestrator.register("train", build(service.url))
        saga_id = await orchestrator.start("train", {"data": "orders.csv"}, "job-1")
        show(await orchestrator.get_snapshot(saga_id))
        print()
        await consume(service, orchestrator)
        show(await orchestrator.get_snapshot(saga_id))


if __name__ == "__main__":
    with database_url() as url, TrainingService() as service:
        asyncio.run(main(url, service))
