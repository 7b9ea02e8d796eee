"""The crowd of ``effects.py`` on asyncio: a hundred thousand tasks, each waiting for a future."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Callable
from typing import Literal

PARKED = 100_000

Task = asyncio.Task[None]
Parked = asyncio.Future[None]


async def wait_for(waiting: Parked) -> None:
    await waiting


async def park_all() -> tuple[list[Parked], list[Task]]:
    loop = asyncio.get_running_loop()
    waiting = [loop.create_future() for _ in range(PARKED)]
    tasks = [asyncio.create_task(wait_for(each)) for each in waiting]
    await asyncio.sleep(0)
    return waiting, tasks


def bytes_each() -> float:
    async def measure() -> float:
        tracemalloc.start()
        waiting, tasks = await park_all()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        size -= (len(waiting) + len(tasks)) * 8
        for each in waiting:
            each.set_result(None)
        await asyncio.wait(tasks)
        return size / PARKED

    return asyncio.run(measure())


def seconds_to(end: Literal["wake", "cancel"]) -> Callable[[], float]:
    async def measure() -> float:
        waiting, tasks = await park_all()
        begun = time.perf_counter()
        if end == "wake":
            for each in waiting:
                each.set_result(None)
        else:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)
        return time.perf_counter() - begun

    return lambda: asyncio.run(measure())
