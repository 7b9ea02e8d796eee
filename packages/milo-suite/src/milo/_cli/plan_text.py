"""A pipeline's graph as text: one line of levels, one table of phases. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from milo_pipeline import Phase, PhasePolicy, Pipeline
from milo_pipeline.text import one_line
from milo_tui.symbols import Symbols

_MOST_IN_A_LEVEL = 8
_HEADER = ("phase", "depends on", "parallel", "policy", "weight", "description")


def plan_text(pipeline: Pipeline, symbols: Symbols) -> str:
    """``plan_lines``, each with its end."""
    return "".join(f"{line}\n" for line in plan_lines(pipeline, symbols))


def plan_lines(pipeline: Pipeline, symbols: Symbols) -> list[str]:
    """The levels in one line, then a row for each phase, level by level."""
    name = one_line(pipeline.name)
    if not pipeline.phases:
        return [f"{name}: no phases"]
    levels = levels_of(pipeline)
    summary = f" {symbols.arrow} ".join(_level_text(level, symbols) for level in levels)
    rows = [_row(phase) for level in levels for phase in level]
    return [f"{name}: {summary}", "", *table_lines([_HEADER, *rows])]


def levels_of(pipeline: Pipeline) -> list[list[Phase]]:
    """The phases by depth, each level in the order of declaration.

    A phase stands one level below the deepest phase it depends on.
    """
    plan = pipeline.plan
    depth = [0] * len(plan.phases)
    for i in plan.order:
        depth[i] = 1 + max((depth[j] for j in plan.dependencies[i]), default=-1)
    levels: list[list[Phase]] = [[] for _ in range(1 + max(depth, default=-1))]
    for level, phase in zip(depth, plan.phases, strict=True):
        levels[level].append(phase)
    return levels


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """The cells in columns as wide as their widest cell; no spaces at a line's end.

    >>> table_lines([("phase", "weight"), ("parse", "1")])
    ['phase  weight', 'parse  1']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _level_text(level: Sequence[Phase], symbols: Symbols) -> str:
    if len(level) == 1:
        return one_line(level[0].name)
    shown = [one_line(phase.name) for phase in level[:_MOST_IN_A_LEVEL]]
    if len(level) > len(shown):
        shown.append(f"{symbols.more} {len(level) - len(shown)} more")
    return f"[{', '.join(shown)}]"


def _row(phase: Phase) -> tuple[str, ...]:
    return (
        one_line(phase.name),
        ", ".join(map(one_line, phase.depends_on)) or "-",
        "yes" if phase.parallel else "-",
        _policy_text(phase.policy),
        str(phase.weight),
        one_line(phase.description),
    )


def _policy_text(policy: PhasePolicy) -> str:
    if policy.attempts == 1:
        return "skip" if policy.on_fail == "skip" else "stop"
    times = "once" if policy.max_retries == 1 else f"{policy.max_retries} times"
    growing = ", doubling" if policy.retry_backoff == "exponential" else ""
    return f"retry {times} after {policy.retry_delay:g} s{growing}"
