"""Which phases a run leaves out, and why: ``only``, ``start_at`` and ``skip``."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from milo_pipeline.errors import DefinitionError
from milo_pipeline.graph import Edges, Plan


def left_out(
    plan: Plan,
    *,
    only: Iterable[str] | None = None,
    start_at: str | None = None,
    skip: Iterable[str] = (),
) -> dict[int, str]:
    """The phases that do not run, by index, each with the reason that its status will show.

    ``only`` runs the phases named and what they wait for, near or far; ``start_at`` runs a
    phase and what waits for it; ``skip`` leaves out what it names and nothing else. Together
    each takes away from the rest.

    Raises:
        DefinitionError: a name that is no phase, an empty ``only``.

    >>> from milo_pipeline import Phase
    >>> from milo_pipeline.graph import compile_graph
    >>> plan = compile_graph([Phase("a", print), Phase("b", print, depends_on=["a"])])
    >>> left_out(plan, start_at="b")
    {0: "before 'b'"}
    """
    reasons: dict[int, str] = {}
    if only is not None:
        named = indexes_of(plan, "only", only)
        if not named:
            raise DefinitionError("only names no phase; leave it out to run them all")
        wanted = _reachable(named, plan.dependencies)
        reasons |= dict.fromkeys(_others(plan, wanted), "not selected")
    if start_at is not None:
        (start,) = indexes_of(plan, "start_at", [start_at])
        reasons |= dict.fromkeys(
            _others(plan, _reachable([start], plan.dependents)), f"before {start_at!r}"
        )
    return reasons | dict.fromkeys(indexes_of(plan, "skip", skip), "skipped on request")


def indexes_of(plan: Plan, option: str, names: Iterable[str]) -> list[int]:
    """The phases that ``option`` names, by index.

    Raises:
        DefinitionError: one that does not exist.
    """
    if isinstance(names, str):
        raise DefinitionError(f"{option} takes names of phases, not one text; write [{names!r}]")
    return [_index(plan, option, name) for name in names]


def _index(plan: Plan, option: str, name: str) -> int:
    found = plan.index.get(name)
    if found is None:
        near = get_close_matches(str(name), plan.index, n=1)
        names = [plan.phases[i].name for i in plan.order]
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names[:8])}"
        raise DefinitionError(f"{option}: there is no phase {name!r}; {advice}")
    return found


def _reachable(start: Iterable[int], edges: Edges) -> set[int]:
    found, ahead = set(start), list(start)
    while ahead:
        for index in edges[ahead.pop()]:
            if index not in found:
                found.add(index)
                ahead.append(index)
    return found


def _others(plan: Plan, wanted: set[int]) -> list[int]:
    return [index for index in range(len(plan.phases)) if index not in wanted]
