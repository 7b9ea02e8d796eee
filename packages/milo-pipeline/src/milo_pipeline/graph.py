"""The graph compiler: phases in, a plan of plain index tuples out, in linear time.

Everything is iterative, so a chain of 10,000 phases is as good as one of ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from milo_pipeline.errors import CycleError, DefinitionError
from milo_pipeline.phase import Phase

Edges: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A valid graph, by index: phase ``i`` is ``phases[i]``, as they were declared.

    Attributes:
        phases: the phases, in the order of their declaration.
        index: name to index.
        dependencies: for each phase what it waits for.
        dependents: for each phase what waits for it.
        dependency_count: how many must be done before a phase may start.
        order: indexes in execution order: level by level, by name within a level.
        rank: for each phase its position in ``order``.
        total_weight: of all phases.
    """

    phases: tuple[Phase, ...]
    index: dict[str, int]
    dependencies: Edges
    dependents: Edges
    dependency_count: tuple[int, ...]
    order: tuple[int, ...]
    rank: tuple[int, ...]
    total_weight: int


def compile_graph(phases: Iterable[Phase]) -> Plan:
    """The plan of ``phases``, or the reason why there is none.

    Raises:
        DefinitionError: a name that is used twice, a dependency that is no phase.
        CycleError: phases that wait for each other.

    >>> def of(name, *needs): return Phase(name, print, depends_on=needs)
    >>> plan = compile_graph([of("write", "parse"), of("parse"), of("assets")])
    >>> plan.dependents, plan.order
    (((), (0,), ()), (2, 1, 0))
    """
    phases = tuple(phases)
    index = _index_by_name(phases)
    dependencies = tuple(_indexes_of(phase, index) for phase in phases)
    dependents = _reversed(dependencies)
    levels = _levels(dependencies, dependents)
    order = tuple(_by_name_within(levels, phases))
    if len(order) < len(phases):
        raise CycleError(_name_cycle(phases, dependencies, resolved=set(order)))
    return Plan(
        phases=phases,
        index=index,
        dependencies=dependencies,
        dependents=dependents,
        dependency_count=tuple(map(len, dependencies)),
        order=order,
        rank=_positions(order),
        total_weight=sum(phase.weight for phase in phases),
    )


def _index_by_name(phases: Sequence[Phase]) -> dict[str, int]:
    index: dict[str, int] = {}
    for i, phase in enumerate(phases):
        if phase.name in index:
            raise DefinitionError(
                f"two phases are named {phase.name!r} (the {index[phase.name] + 1}. and the "
                f"{i + 1}.); dependencies and results go by name, so give one another"
            )
        index[phase.name] = i
    return index


def _indexes_of(phase: Phase, index: dict[str, int]) -> tuple[int, ...]:
    try:
        return tuple([index[name] for name in phase.depends_on])
    except KeyError as missing:
        raise _unknown_dependency(phase, missing.args[0], index) from None


def _unknown_dependency(phase: Phase, name: str, index: dict[str, int]) -> DefinitionError:
    near = get_close_matches(name, index, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {_some(list(index))}"
    return DefinitionError(
        f"phase {phase.name!r} depends on {name!r}, which is no phase of this pipeline; {advice}"
    )


def _some(names: list[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _reversed(dependencies: Edges) -> Edges:
    dependents: list[list[int]] = [[] for _ in dependencies]
    for i, needed in enumerate(dependencies):
        for j in needed:
            dependents[j].append(i)
    return tuple(map(tuple, dependents))


def _levels(dependencies: Edges, dependents: Edges) -> list[list[int]]:
    """Who can start once all earlier levels are done; phases of a cycle never appear."""
    missing = list(map(len, dependencies))
    level = [i for i, count in enumerate(missing) if count == 0]
    levels = []
    while level:
        levels.append(level)
        following = []
        for i in level:
            for j in dependents[i]:
                missing[j] -= 1
                if missing[j] == 0:
                    following.append(j)
        level = following
    return levels


def _by_name_within(levels: list[list[int]], phases: Sequence[Phase]) -> Iterable[int]:
    for level in levels:
        yield from sorted(level, key=lambda i: phases[i].name)


def _positions(order: Sequence[int]) -> tuple[int, ...]:
    rank = [0] * len(order)
    for position, i in enumerate(order):
        rank[i] = position
    return tuple(rank)


def _name_cycle(
    phases: Sequence[Phase], dependencies: Edges, *, resolved: set[int]
) -> tuple[str, ...]:
    """One cycle, from its alphabetically first name round to it again.

    An unresolved phase has an unresolved dependency, so walking from one to the next
    must come back to a phase seen before; the walk since then is the cycle.
    """
    steps: dict[int, int] = {}
    here = min((i for i in range(len(phases)) if i not in resolved), key=lambda i: phases[i].name)
    while here not in steps:
        steps[here] = len(steps)
        here = next(j for j in dependencies[here] if j not in resolved)
    backwards = list(steps)[steps[here] :]
    cycle = [phases[i].name for i in reversed(backwards)]
    first = cycle.index(min(cycle))
    return (*cycle[first:], *cycle[:first], cycle[first])
