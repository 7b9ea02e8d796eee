"""Measuring a thing beside its floor, and the table that comes of it."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TURNS = 5
SHORT_TURNS = 5 * TURNS
"""For what takes milliseconds, so that its turns, too, outlast a slow moment of the machine."""


@dataclass(frozen=True)
class Row:
    """One line of a table: ``ours`` should be at most ``limit`` times ``floor``.

    With ``floor`` of 1, or where it is only there to compare with, ``limit`` is one in ``unit``,
    or ``math.inf`` for none.
    """

    name: str
    ours: float
    floor: float
    limit: float
    unit: str = "µs"
    absolute: bool = False

    @property
    def ratio(self) -> float:
        return self.ours / self.floor

    @property
    def is_met(self) -> bool:
        return (self.ours if self.absolute else self.ratio) <= self.limit


@dataclass(frozen=True)
class Peer:
    """What another library takes for the same rows: a column, without a limit.

    ``turns`` holds, by the name of a row, one figure in the row's unit for each turn, or
    ``None`` for a turn that did not come to an end.
    """

    name: str
    turns: Mapping[str, Sequence[float | None]]

    @classmethod
    def read(cls, file: Path) -> Peer:
        return cls(**json.loads(file.read_text()))

    def figure(self, row: str) -> str:
        """The best turn, and how many of them stalled."""
        turns = self.turns.get(row, ())
        ended = [turn for turn in turns if turn is not None]
        if not ended:
            return "stalls" if turns else "–"
        stalled = len(turns) - len(ended)
        return f"{min(ended):.3f}" + (f" ({stalled} of {len(turns)} stall)" if stalled else "")


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


async def at_once(work: Callable[[], Awaitable[object]], count: int, width: int) -> float:
    """What each of ``count`` calls takes in ms, when ``width`` of them run at the same time."""

    async def share() -> None:
        for _ in range(count // width):
            await work()

    begun = time.perf_counter()
    await asyncio.gather(*[share() for _ in range(width)])
    return (time.perf_counter() - begun) / count * 1e3


def report(title: str, rows: Iterable[Row], peer: Peer | None = None) -> bool:
    """Print the table; whether every row keeps its limit."""
    rows = list(rows)
    print(f"\n{title}, Python {python()}, best of {TURNS} or more\n")
    last = "" if peer is None else f"    {peer.name}"
    print(f"{'':44}{'ours':>10}{'floor':>10}{'ratio':>8}{'limit':>8}        {last}".rstrip())
    for row in rows:
        print(_line(row, "" if peer is None else f"    {peer.figure(row.name)}").rstrip())
    return all(row.is_met for row in rows)


def _line(row: Row, last: str) -> str:
    floor = "" if row.floor == 1 else f"{row.floor:.3f}"
    limit = "" if row.limit == math.inf else f"{row.limit:.2f}"
    mark = "" if row.is_met else "  missed"
    name = f"{row.name} ({row.unit})" if row.unit else row.name
    return f"{name:44}{row.ours:>10.3f}{floor:>10}{row.ratio:>8.2f}{limit:>8}{mark:8}{last}"


def python() -> str:
    """Which Python this is, as a table's title names it."""
    build = " free-threaded" if "free-threading" in sys.version else ""
    return platform.python_version() + build


def main(title: str, rows: Callable[[], Iterable[Row]]) -> None:
    """Run one file of benchmarks as a program."""
    parser = argparse.ArgumentParser(description=f"Measure {title} beside its floors.")
    parser.add_argument("--check", action="store_true", help="exit with 1 on a missed limit")
    parser.add_argument("--peer", type=Path, metavar="FILE", help="figures of another library")
    given = parser.parse_args()
    kept = report(title, rows(), Peer.read(given.peer) if given.peer else None)
    if given.check and not kept:
        raise SystemExit(1)
