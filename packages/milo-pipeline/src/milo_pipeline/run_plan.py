"""What one run of a pipeline is to do, decided and checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from milo_pipeline.executors._installed import refuse_unless_executable
from milo_pipeline.params import bind
from milo_pipeline.phase import Phase
from milo_pipeline.selection import left_out

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The choices of one run.

    Attributes:
        params: the value of each of the pipeline's parameters.
        left_out: the phases that do not run, by index, each with the reason.
        keep_going: whether branches that do not depend on a failure go on.
        fail_fast: whether a failure cancels what runs.
    """

    params: Mapping[str, Any]
    left_out: Mapping[int, str]
    keep_going: bool
    fail_fast: bool


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    """What a run would do with a phase, and why.

    ``reason`` is why it does not run, or what it waits for; a phase with a condition may turn
    out not to run.
    """

    name: str
    runs: bool
    reason: str


def plan_run(
    pipeline: Pipeline,
    params: Mapping[str, Any] | None = None,
    *,
    only: Iterable[str] | None = None,
    start_at: str | None = None,
    skip: Iterable[str] = (),
    keep_going: bool | None = None,
) -> RunPlan:
    """The plan of a run with the options of ``Pipeline.run``, which says what they mean.

    Raises:
        DefinitionError: they cannot be meant, or a phase that runs names an executor that is
            not there or does not take it.
    """
    given = bind(pipeline.params, params or {})
    left = left_out(pipeline.plan, only=only, start_at=start_at, skip=skip)
    refuse_unless_executable(each for i, each in enumerate(pipeline.phases) if i not in left)
    return RunPlan(
        params=given,
        left_out=left,
        keep_going=pipeline.keep_going if keep_going is None else keep_going,
        fail_fast=pipeline.fail_fast and not keep_going,
    )


def planned_phases(pipeline: Pipeline, plan: RunPlan) -> list[PlannedPhase]:
    """What a run with this plan would do with each phase, in execution order."""
    return [_planned(pipeline.phases[i], plan.left_out.get(i)) for i in pipeline.plan.order]


def _planned(phase: Phase, left_out: str | None) -> PlannedPhase:
    if left_out is not None:
        return PlannedPhase(phase.name, False, left_out)
    needs = f"after {', '.join(phase.depends_on)}" if phase.depends_on else "waits for nothing"
    condition = "; if its condition holds" if phase.when is not None else ""
    return PlannedPhase(phase.name, True, needs + condition)
