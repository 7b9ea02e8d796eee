"""A worker that is going to be killed: ``killed_worker.py URL SCHEMA SECONDS``, ``-`` for none.

It says on one line each that a step has begun, ``PID began``, and that it has let go of a saga,
``PID done``. Steps take up to ``SECONDS``, and some of what they do fails and is tried again.
"""

import asyncio
import os
import random
import sys
from datetime import timedelta

from databases import Database
from worker_tools import orchestrator_on

from milo_durable import BaseStep, FixedRetry, SagaBuilder, StepAwaitEvent, Worker, engine

STEPS = 4
LEASE = timedelta(seconds=1)
OFTEN = FixedRetry(1000, timedelta(milliseconds=50))


def say(word):
    try:
        os.write(1, f"{os.getpid()} {word}\n".encode())
    except BrokenPipeError:  # nobody listens any more
        os._exit(1)


class Step(BaseStep[dict, dict]):
    """Takes its time, fails now and then, and for good where its saga is to be undone."""

    def __init__(self, index, seconds):
        self.index, self.seconds = index, seconds

    async def execute(self, inp: dict) -> dict | StepAwaitEvent:
        await self.takes_time()
        if "paid" not in inp:
            return StepAwaitEvent()
        if inp["fails"] == self.index:
            return "for good"  # no output of this step's
        return inp

    async def compensate(self, inp: dict, out: dict) -> None:
        await self.takes_time()

    async def takes_time(self):
        say("began")
        await asyncio.sleep(random.uniform(0, self.seconds))
        if random.random() < 0.2:
            raise OSError("now and then")


def definition(seconds):
    """A chain whose first step waits for an event."""
    builder, before = SagaBuilder(), None
    for index in range(STEPS):
        before = builder.add_step(
            step=Step(index, seconds),
            input_map=(lambda out: out) if before else with_event,
            depends_on=before,
            retry_policy=OFTEN,
        )
    return builder.build()


def with_event(context):
    return {**context.initial_data, **(context.latest_event or {})}


class Telling(Worker):
    """Says when a saga is no longer in its hands."""

    def _done(self, task):
        super()._done(task)
        say("done")


async def main(url, schema, seconds):
    engine.GRACE = LEASE  # as little is waited for one that was killed as can be
    database = Database(url, None if schema == "-" else schema)
    orchestrator = orchestrator_on(database.engine(), lease=LEASE)
    orchestrator.register("order", definition(float(seconds)))
    await Telling(orchestrator, limit=10, poll=timedelta(milliseconds=50)).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
