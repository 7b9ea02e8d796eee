"""Pipelines: what a phase costs beside a bare thread pool, and how long a graph takes."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from graphlib import TopologicalSorter
from typing import Any

from measure import SHORT_TURNS, TURNS, Row, best_of, main, per_call
from milo_pipeline import Phase, Pipeline

WIDTH = 10
WORKERS = 4
Graph = Mapping[str, tuple[str, ...]]


def nothing() -> None:
    return None


def layered(count: int) -> Graph:
    """``count`` phases in layers of ten; each waits for three of the layer above."""
    graph: dict[str, tuple[str, ...]] = {}
    for i in range(count):
        above = (i // WIDTH - 1) * WIDTH
        needs = () if above < 0 else tuple(f"p{above + (i + k) % WIDTH}" for k in range(3))
        graph[f"p{i}"] = needs
    return graph


def chain(count: int) -> Graph:
    return {f"p{i}": (f"p{i - 1}",) if i else () for i in range(count)}


def pipeline_of(graph: Graph, handler: Callable[[], Any] = nothing, **options: Any) -> Pipeline:
    phases = [
        Phase(name, handler, depends_on=needs, parallel=True) for name, needs in graph.items()
    ]
    return Pipeline("bench", *phases, **options)


# The same by other means


def by_graphlib(graph: Graph, handler: Callable[[], Any] = nothing, workers: int = WORKERS) -> None:
    """What people write themselves: the standard library's sorter over its thread pool."""
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[Any], str] = {}
        while sorter.is_active():
            for name in sorter.get_ready():
                running[pool.submit(handler)] = name
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                sorter.done(running.pop(future))


def by_dask(graph: Graph) -> Callable[[], object] | None:
    """The threaded scheduler of dask, where it is installed."""
    try:
        get = importlib.import_module("dask.threaded").get
    except ImportError:
        return None
    tasks: dict[str, Any] = {name: (lambda *_: None, *needs) for name, needs in graph.items()}
    return partial(get, tasks, list(graph), num_workers=WORKERS)


def run(pipeline: Pipeline, workers: int = WORKERS) -> None:
    assert pipeline.run(max_workers=workers).ok


def overhead_rows() -> Iterator[Row]:
    costs = []
    for count in (1_000, 10_000):
        graph = layered(count)
        floor, ours = best_of(
            per_call(partial(by_graphlib, graph), count),
            per_call(partial(run, pipeline_of(graph)), count),
            turns=SHORT_TURNS if count == 1_000 else TURNS,
        )
        costs.append(ours)
        yield Row(f"a phase of {count:,}, layered", ours, floor, 25, absolute=True)
        dask = by_dask(graph)
        if dask is not None:
            (theirs,) = best_of(per_call(dask, count), turns=3)
            yield Row(f"a phase of {count:,}, beside dask.threaded", ours, theirs, 1)
    yield Row("a phase of 10,000, beside one of 1,000", costs[1], costs[0], 10**0.1)
    pipeline = pipeline_of(chain(10_000))
    floor, ours = best_of(
        per_call(partial(by_graphlib, chain(10_000)), 10_000),
        per_call(partial(run, pipeline), 10_000),
    )
    yield Row("a phase of a chain of 10,000", ours, floor, 25, absolute=True)


# Time that passes


def makespan_row() -> Iterator[Row]:
    """Sleeps of several lengths, as many workers as can be used: beside the critical path."""
    seconds = [0.05, 0.01, 0.02, 0.04]
    phases: list[Phase] = []
    longest: dict[str, float] = {}
    for i in range(40):
        above = i - 4
        needs = (f"p{above}",) if above >= 0 else ()
        length = seconds[(i * 7 + i // 4) % 4]
        longest[f"p{i}"] = length + max((longest[name] for name in needs), default=0)
        phases.append(Phase(f"p{i}", partial(time.sleep, length), depends_on=needs, parallel=True))
    pipeline = Pipeline("makespan", *phases)

    def measure() -> float:
        begun = time.perf_counter()
        run(pipeline, 8)
        return time.perf_counter() - begun

    (ours,) = best_of(measure)
    yield Row("makespan of 40 phases, the critical path", ours, max(longest.values()), 1.05, "s")


def spin(rounds: int = 1_500_000) -> int:
    total = 0
    for i in range(rounds):
        total += i & 3
    return total


def two_threads() -> None:
    threads = [threading.Thread(target=spin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def computing_row() -> Iterator[Row]:
    if getattr(sys, "_is_gil_enabled", bool)() is not False or sys.version_info < (3, 13):
        return
    pipeline = pipeline_of({"a": (), "b": ()}, spin)
    floor, ours = best_of(per_call(two_threads, 1), per_call(partial(run, pipeline), 1))
    yield Row("two phases that compute, two threads", ours / 1e6, floor / 1e6, 1.15, "s")


def rows() -> Iterator[Row]:
    yield from overhead_rows()
    yield from makespan_row()
    yield from computing_row()


if __name__ == "__main__":
    main("milo-pipeline", rows)
