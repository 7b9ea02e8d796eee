"""The rows of core.py and effects.py, measured on PyPI's milo-cli, for a column beside ours.

    python benchmarks/peer_milo_cli.py FILE      in an environment that has milo-cli

milo-cli parks a saga on a thread of its pool and may lose a reply, so a measurement may never
end. Each turn of each row is therefore a process with a time limit, and a turn that exceeds
it counts as a stall. Only what milo-cli publishes is used. Its stores do not tell when a saga
has ended, so the sagas here set an event as the last thing they do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from measure import TURNS, per_call
from milo import Action, Call, Fork, Put, Select, Store, Take

SECONDS: Final = 8
"""How long a turn may take; the longest that ends takes about one."""

DISPATCHES = 200_000
COUNT = 50_000
ROUNDS = 100
PARKED = 100_000
ACTION = Action("NOTHING")
Saga = Generator[Any, Any, Any]


def reducer(state: Any, action: Action) -> Any:
    return state


def nothing() -> None:
    return None


def run(store: Any, saga: Callable[[], Saga]) -> None:
    """Run a saga to its end."""
    ended = threading.Event()

    def to_the_end() -> Saga:
        yield from saga()
        ended.set()

    store.run_saga(to_the_end())
    ended.wait()


def dispatch(store: Any, count: int) -> float:
    def work() -> None:
        for _ in range(count):
            store.dispatch(ACTION)

    return per_call(work, count)()


def effect(each: object) -> float:
    def repeat() -> Saga:
        for _ in range(COUNT):
            yield each

    return per_call(partial(run, Store(reducer, 0), repeat), COUNT)()


def fork() -> float:
    """A child costs an ``append`` more than in our row, or nobody would know that it has ended."""
    ended: list[None] = []
    all_ended = threading.Event()

    def child() -> Saga:
        ended.append(None)
        if len(ended) == COUNT:
            all_ended.set()
        return
        yield

    def fork_all() -> Saga:
        for _ in range(COUNT):
            yield Fork(child)

    def work() -> None:
        run(Store(reducer, 0), fork_all)
        all_ended.wait()

    return per_call(work, COUNT)()


def ping_pong() -> float:
    """Fewer rounds than in our row, because it hardly ever gets through 10,000."""

    def ping() -> Saga:
        for _ in range(ROUNDS):
            yield Put(Action("PING"))
            yield Take("PONG")

    def pong() -> Saga:
        while True:
            yield Take("PING")
            yield Put(Action("PONG"))

    store = Store(reducer, 0)
    store.run_saga(pong())
    time.sleep(0.2)  # it has to stand in its first Take, and nothing tells when it does
    return per_call(partial(run, store, ping), ROUNDS)()


class Crowd:
    """A hundred thousand sagas that wait, once all of them have come as far as that."""

    def __init__(self) -> None:
        self.store = Store(reducer, 0)
        self._begun: list[None] = []
        self._all_begun = threading.Event()
        self._ended: list[None] = []
        self.all_ended = threading.Event()
        self.contexts = [self.store.run_saga(self._parked()) for _ in range(PARKED)]
        self._all_begun.wait()

    def _parked(self) -> Saga:
        self._begun.append(None)
        if len(self._begun) == PARKED:
            self._all_begun.set()
        try:
            yield Take("WAKE")
        finally:
            self._ended.append(None)
            if len(self._ended) == PARKED:
                self.all_ended.set()


def parked_bytes() -> float:
    tracemalloc.start()
    Crowd()
    return tracemalloc.get_traced_memory()[0] / PARKED


def seconds_to(end: Callable[[Crowd], object]) -> float:
    crowd = Crowd()
    begun = time.perf_counter()
    end(crowd)
    crowd.all_ended.wait()
    return time.perf_counter() - begun


def wake(crowd: Crowd) -> None:
    crowd.store.dispatch(Action("WAKE"))


def cancel(crowd: Crowd) -> None:
    for context in crowd.contexts:
        context.cancel_tree()


ROWS: Final[dict[str, Callable[[], float]]] = {
    "dispatch, reducer without work": lambda: dispatch(Store(reducer, 0), DISPATCHES),
    "Select": lambda: effect(Select()),
    "Call": lambda: effect(Call(nothing)),
    "Put": lambda: effect(Put(ACTION)),
    "fork, and the child has ended": fork,
    "ping-pong of two sagas, a round": ping_pong,
    "100,000 parked, each": parked_bytes,
    "100,000 parked, all woken": lambda: seconds_to(wake),
    "100,000 parked, all cancelled": lambda: seconds_to(cancel),
    "dispatch, 100,000 parked on another type": lambda: dispatch(Crowd().store, COUNT),
}
"""By the name that the row has in core.py or effects.py, and in its unit."""


def turn(row: str) -> float | None:
    """One measurement in a process of its own; ``None`` when it does not end."""
    command = [sys.executable, "-W", "ignore", __file__, "--turn", row]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SECONDS, check=True)
    except subprocess.TimeoutExpired:
        return None
    return float(done.stdout)


def turns(row: str) -> list[float | None]:
    """As many as ours has, unless the first three stall."""
    figures: list[float | None] = []
    while len(figures) < TURNS and figures != [None] * 3:
        figures.append(turn(row))
    print(row, *[figure and round(figure, 3) for figure in figures], flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure milo-cli; write its figures to FILE.")
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    parser.add_argument("--turn", choices=ROWS, metavar="ROW", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.turn:
        print(ROWS[given.turn](), flush=True)
        os._exit(0)  # without waiting for threads that never end
    if given.file is None:
        parser.error("name the file to write")
    name = f"milo-cli {version('milo-cli')}"
    given.file.write_text(json.dumps({"name": name, "turns": {row: turns(row) for row in ROWS}}))


if __name__ == "__main__":
    main()
