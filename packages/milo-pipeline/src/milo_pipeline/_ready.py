"""The phases that are ready, in execution order, and the resources they share."""

from __future__ import annotations

import heapq
from collections.abc import Container, Mapping
from typing import TypeAlias

from milo_pipeline.graph import Plan

_Place: TypeAlias = tuple[int, int]
"""A phase's rank and its index: the order in which phases start."""


class ReadyQueue:
    """Which phase starts next.

    The first ready phase decides: one that is not ``parallel`` waits until nothing runs, and
    everything behind it waits too. One that lacks a resource is held until some is given
    back; whoever comes behind it and needs the same waits behind it, others go ahead.

    Attributes:
        waiting: the ready phases, but those that are held; empty when none can start.
    """

    def __init__(self, plan: Plan, budget: Mapping[str, int], settled: Container[int]) -> None:
        self._plan = plan
        self._free = dict(budget)
        self._settled = settled
        self.waiting: list[_Place] = [
            (plan.rank[i], i) for i, count in enumerate(plan.dependency_count) if not count
        ]
        heapq.heapify(self.waiting)
        self._held: dict[str, list[_Place]] = {name: [] for name in budget}

    def add(self, index: int) -> None:
        """Phase ``index`` has become ready."""
        heapq.heappush(self.waiting, (self._plan.rank[index], index))

    def next(self, *, something_runs: bool) -> int | None:
        """The phase to start now, if one may; it has its resources and is no longer ready."""
        while self.waiting:
            rank, index = self.waiting[0]
            phase = self._plan.phases[index]
            if index in self._settled:
                heapq.heappop(self.waiting)
                return index
            if something_runs and not phase.parallel:
                return None
            heapq.heappop(self.waiting)
            if not phase.resources:
                return index
            lacking = self._lacking(phase.resources, rank)
            if lacking is None:
                self._take(phase.resources)
                return index
            heapq.heappush(self._held[lacking], (rank, index))
        return None

    def give_back(self, index: int) -> None:
        """Phase ``index``, which had been started, has ended."""
        if index not in self._settled:
            for name, count in self._plan.phases[index].resources.items():
                self._free[name] += count
                self._offer(name)

    def _lacking(self, needs: Mapping[str, int], rank: int) -> str | None:
        for name, count in needs.items():
            held = self._held[name]
            if count > self._free[name] or (held and held[0][0] < rank):
                return name
        return None

    def _take(self, needs: Mapping[str, int]) -> None:
        for name, count in needs.items():
            self._free[name] -= count
            self._offer(name)

    def _offer(self, name: str) -> None:
        """Let the first that waits for ``name`` try again, if any of it is free."""
        if self._free[name] and self._held[name]:
            heapq.heappush(self.waiting, heapq.heappop(self._held[name]))
