"""What an earlier run in this process has done that the next one need not do again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from milo_pipeline._execution import Completed, LeftOut, Outcome
from milo_pipeline.run_plan import RunPlan
from milo_pipeline.selection import indexes_of
from milo_pipeline.statuses import SKIPPED

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline
    from milo_pipeline.result import PipelineResult

PREVIOUS_RUN: Final = "previous run"
"""The ``source`` of a result that was kept."""


def kept_from(
    previous: PipelineResult, pipeline: Pipeline, plan: RunPlan, changed: Iterable[str]
) -> dict[int, Outcome]:
    """What came of each phase that ``plan`` need not run again, by index.

    Raises:
        DefinitionError: ``changed`` names a phase that does not exist.
    """
    graph = pipeline.plan
    runs_again = set(indexes_of(graph, "changed", changed))
    skipped = {each.name: each.error for each in previous.state.phases if each.status == SKIPPED}
    kept: dict[int, Outcome] = {}
    gives_the_same: set[int] = set()  # to what waits for it
    for i in graph.order:
        name = graph.phases[i].name
        if i in plan.left_out:
            if name in skipped:
                gives_the_same.add(i)
            continue
        if i in runs_again or not gives_the_same.issuperset(graph.dependencies[i]):
            continue
        if name in previous.results:
            kept[i] = Completed(previous.results[name], PREVIOUS_RUN)
        elif name in skipped and name not in previous.errors and name not in previous.left_out:
            kept[i] = LeftOut(skipped[name])  # its condition is not asked again
        else:
            continue
        gives_the_same.add(i)
    return kept
