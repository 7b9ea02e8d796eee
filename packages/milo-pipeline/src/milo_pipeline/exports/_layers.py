"""Where the phases of a graph stand in a picture: by column, and by place within it."""

from __future__ import annotations

from milo_pipeline.graph import Edges, Plan

_SWEEPS = 4


def depths(plan: Plan) -> list[int]:
    """For each phase how many columns stand before it: one more than the deepest it needs."""
    depth = [0] * len(plan.phases)
    for i in plan.order:
        depth[i] = 1 + max((depth[j] for j in plan.dependencies[i]), default=-1)
    return depth


def layers(plan: Plan) -> list[list[int]]:
    """The phases column by column, so ordered that edges cross little.

    Each column in turn is sorted by where the neighbours of its phases stand on average, to
    and fro a few times; phases for which that is the same keep the order of declaration.
    """
    depth = depths(plan)
    columns: list[list[int]] = [[] for _ in range(1 + max(depth, default=-1))]
    for i, column in enumerate(depth):
        columns[column].append(i)
    place = [0.0] * len(depth)
    for column_of_phases in columns:
        _note_places(column_of_phases, place)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        neighbours = plan.dependencies if forwards else plan.dependents
        for phases in columns if forwards else reversed(columns):
            phases.sort(key=lambda i: _average_place(i, neighbours, place))
            _note_places(phases, place)
    return columns


def _average_place(i: int, neighbours: Edges, place: list[float]) -> float:
    near = neighbours[i]
    return sum(place[j] for j in near) / len(near) if near else place[i]


def _note_places(phases: list[int], place: list[float]) -> None:
    """Where each stands in its column, as a part of its height: columns differ in length."""
    for position, i in enumerate(phases):
        place[i] = (position + 0.5) / len(phases)
