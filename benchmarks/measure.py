"""Measuring a thing beside its floor, and the table that comes of it."""

from __future__ import annotations

import gc
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

TURNS = 5


@dataclass(frozen=True)
class Row:
    """One line of a table: ``ours`` should be at most ``limit`` times ``floor``.

    With ``floor`` of 1, ``limit`` is a limit in ``unit`` itself.
    """

    name: str
    ours: float
    floor: float
    limit: float
    unit: str = "µs"

    @property
    def ratio(self) -> float:
        return self.ours / self.floor

    @property
    def is_met(self) -> bool:
        return self.ratio <= self.limit


def best_of(*timed: Callable[[], float], turns: int = TURNS) -> list[float]:
    """The best result of each function, which are called in turn so that noise meets them alike."""
    best = [float("inf")] * len(timed)
    for _ in range(turns):
        for i, function in enumerate(timed):
            gc.collect()
            best[i] = min(best[i], function())
    return best


def per_call(work: Callable[[], object], count: int) -> Callable[[], float]:
    """A function that measures ``work``, which does something ``count`` times, in µs for each."""

    def measure() -> float:
        begun = time.perf_counter()
        work()
        return (time.perf_counter() - begun) / count * 1e6

    return measure


def report(title: str, rows: Iterable[Row]) -> bool:
    """Print the table; whether every row keeps its limit."""
    rows = list(rows)
    build = " free-threaded" if "free-threading" in sys.version else ""
    print(f"\n{title}, Python {platform.python_version()}{build}, best of {TURNS}\n")
    print(f"{'':44}{'ours':>10}{'floor':>10}{'ratio':>8}{'limit':>8}")
    for row in rows:
        floor = "" if row.floor == 1 else f"{row.floor:.3f}"
        mark = "" if row.is_met else "  missed"
        print(
            f"{f'{row.name} ({row.unit})':44}{row.ours:>10.3f}{floor:>10}"
            f"{row.ratio:>8.2f}{row.limit:>8.2f}{mark}"
        )
    return all(row.is_met for row in rows)


def main(title: str, rows: Callable[[], Iterable[Row]]) -> None:
    """Run one file of benchmarks as a program."""
    kept = report(title, rows())
    if "--check" in sys.argv[1:] and not kept:
        raise SystemExit(1)
