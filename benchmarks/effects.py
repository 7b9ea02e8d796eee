"""Sagas: effects beside the bare steps they need, forks beside a pool, and a hundred thousand."""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import asyncio_tasks
from measure import Row, best_of, main, per_call
from milo_core import Action, Store
from milo_effects import Call, Delay, Fork, Put, Select, Take

COUNT = 50_000
PARKED = 100_000
ACTION = Action("NOTHING")
Saga = Generator[Any, Any, Any]


def reducer(state: Any, action: Action) -> Any:
    return state


def nothing() -> None:
    return None


def new_store() -> Store[Any]:
    return Store(reducer, 0, max_workers=2)


def run(store: Store[Any], saga: Saga | Callable[[], Saga]) -> None:
    store.run_saga(saga).result()
    store.wait_idle()


# One effect at a time


def repeat(make: Callable[[], object]) -> Saga:
    """A saga makes its own effects, as sagas do; one is enough to leave that out of the figures."""
    effect = make()
    for _ in range(COUNT):
        yield effect


def run_repeated(store: Store[Any], make: Callable[[], object]) -> None:
    run(store, partial(repeat, make))


def step_floor(after: Callable[[], object]) -> Callable[[], None]:
    """What the fastest imaginable runner does: send, look the handler up, call it."""

    def work() -> None:
        table = {Select: after}
        send = repeat(Select).send
        for _ in range(COUNT):
            table[send(None).__class__]()

    return work


def locked_call() -> Callable[[], object]:
    lock = threading.Lock()

    def work() -> None:
        with lock:
            reducer(0, ACTION)

    return work


def effect_rows() -> Iterator[Row]:
    with new_store() as store:
        effects: list[Callable[[], object]] = [
            Select,
            lambda: Call(nothing),
            lambda: Put(Action("NOTHING")),
        ]
        floor, locked, *ours = best_of(
            per_call(step_floor(nothing), COUNT),
            per_call(step_floor(locked_call()), COUNT),
            *[per_call(partial(run_repeated, store, effect), COUNT) for effect in effects],
        )
    yield Row("Select", ours[0], floor, 3.5)
    yield Row("Call", ours[1], floor, 4.0)
    yield Row("Put", ours[2], locked, 2.0)


# Forks and partners


def child() -> Saga:
    return
    yield


def fork_all() -> Saga:
    for _ in range(COUNT):
        yield Fork(child)


def submit_all() -> None:
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(nothing) for _ in range(COUNT)]:
            future.result()


def ping(rounds: int) -> Saga:
    for _ in range(rounds):
        yield Put(Action("PING"))
        yield Take("PONG")


def pong() -> Saga:
    while True:
        yield Take("PING")
        yield Put(Action("PONG"))


def partner_rows() -> Iterator[Row]:
    with new_store() as store:
        floor, ours = best_of(
            per_call(submit_all, COUNT), per_call(lambda: run(store, fork_all()), COUNT)
        )
        yield Row("fork, and the child has ended", ours, floor, 0.7)
        store.run_saga(pong())
        store.wait_idle()  # or the first PING may come before pong waits for it
        rounds = COUNT // 5
        (ours,) = best_of(per_call(lambda: run(store, ping(rounds)), rounds))
        yield Row("ping-pong of two sagas, a round", ours, 1, 10)


# A hundred thousand that wait


def parked() -> Saga:
    yield Take("WAKE")


def park_all(store: Store[Any], count: int = PARKED) -> list[Any]:
    tasks = [store.run_saga(parked()) for _ in range(count)]
    store.wait_idle()
    return tasks


def bytes_each() -> float:
    with new_store() as store:
        tracemalloc.start()
        tasks = park_all(store)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        size -= len(tasks) * 8
        store.dispatch(Action("WAKE"))
        store.wait_idle()
    return size / PARKED


def seconds_to(end: Callable[[Store[Any], list[Any]], None]) -> Callable[[], float]:
    def measure() -> float:
        with new_store() as store:
            tasks = park_all(store)
            begun = time.perf_counter()
            end(store, tasks)
            store.wait_idle()
            return time.perf_counter() - begun

    return measure


def wake(store: Store[Any], tasks: list[Any]) -> None:
    store.dispatch(Action("WAKE"))


def cancel(store: Store[Any], tasks: list[Any]) -> None:
    for task in tasks:
        task.cancel_tree()


def dispatching(store: Store[Any]) -> Callable[[], None]:
    def work() -> None:
        for _ in range(COUNT):
            store.dispatch(ACTION)

    return work


def crowd_rows() -> Iterator[Row]:
    woken, cancelled, their_woken, their_cancelled = best_of(
        *[seconds_to(wake), seconds_to(cancel)],
        *[asyncio_tasks.seconds_to("wake"), asyncio_tasks.seconds_to("cancel")],
    )
    in_bytes = bytes_each(), asyncio_tasks.bytes_each()
    yield Row("100,000 parked, each", *in_bytes, 800, "bytes", absolute=True)
    yield Row("100,000 parked, all woken", woken, their_woken, 0.2, "s", absolute=True)
    yield Row("100,000 parked, all cancelled", cancelled, their_cancelled, 0.5, "s", absolute=True)
    with new_store() as empty, new_store() as crowded:
        run(empty, child())
        park_all(crowded)
        floor, ours = best_of(
            per_call(dispatching(empty), COUNT), per_call(dispatching(crowded), COUNT)
        )
        yield Row("dispatch, 100,000 parked on another type", ours, floor, 1.5)


# Time, trees, and a million


def pause() -> Saga:
    yield Delay(1.0)


async def answer_late() -> None:
    await asyncio.sleep(0.5)


def call_late() -> Saga:
    yield Call(answer_late)


def seconds_after_the_last(saga: Callable[[], Saga], count: int) -> Callable[[], float]:
    """How long it takes until all have ended, once the last one has been started."""

    def measure() -> float:
        with new_store() as store:
            tasks = [store.run_saga(saga()) for _ in range(count)]
            begun = time.perf_counter()
            for task in tasks:
                task.result()
            return time.perf_counter() - begun

    return measure


def family(children: int) -> Saga:
    for _ in range(children):
        yield Fork(parked, attached=True)
    yield Take("NEVER")


def cancel_a_tree() -> float:
    with new_store() as store:
        root = store.run_saga(family(9_999))
        store.wait_idle()
        begun = time.perf_counter()
        root.cancel_tree()
        store.wait_idle()
        return time.perf_counter() - begun


def noticing(told: list[float]) -> Saga:
    try:
        yield Take("NEVER")
    finally:
        told.append(time.perf_counter())


def milliseconds_until_told() -> float:
    """The median time from ``cancel_tree`` to the saga's own ``finally``."""
    told: list[float] = []
    asked: list[float] = []
    with new_store() as store:
        for _ in range(200):
            task = store.run_saga(noticing(told))
            store.wait_idle()
            asked.append(time.perf_counter())
            task.cancel_tree()
            store.wait_idle()
    return statistics.median(end - begin for begin, end in zip(asked, told, strict=True)) * 1e3


def park_a_million() -> None:
    """What ``gigabytes_of_a_million`` runs in a process of its own, and prints."""
    with new_store() as store:
        tasks = park_all(store, 1_000_000)
        store.dispatch(Action("WAKE"))
        store.wait_idle()
        assert all(task.done() for task in tasks)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def gigabytes_of_a_million() -> float:
    program = "import effects; effects.park_a_million()"
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=Path(__file__).parent)
    return int(printed) / 1024**2


def scale_rows() -> Iterator[Row]:
    slept, answered, tree, told = best_of(
        seconds_after_the_last(pause, 100_000),
        seconds_after_the_last(call_late, 10_000),
        cancel_a_tree,
        milliseconds_until_told,
    )
    yield Row("100,000 Delay(1.0), after the last started", slept, 1, 1.5, "s")
    yield Row("10,000 async Calls of 0.5 s, after the last", answered, 1, 1.5, "s")
    yield Row("a tree of 10,000, cancelled", tree, 1, 0.1, "s")
    yield Row("a parked saga, until it is told", told, 1, 5, "ms")
    yield Row("1,000,000 parked and all woken", gigabytes_of_a_million(), 1, 1.2, "GB")


def rows() -> Iterator[Row]:
    yield from effect_rows()
    yield from partner_rows()
    yield from crowd_rows()
    yield from scale_rows()


if __name__ == "__main__":
    main("milo-effects", rows)
