"""What one run of a pipeline is to do, decided and checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from milo_pipeline.params import bind
from milo_pipeline.selection import left_out

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The choices of one run.

    Attributes:
        params: the value of each of the pipeline's parameters.
        left_out: the phases that do not run, by index, each with the reason.
    """

    params: Mapping[str, Any]
    left_out: Mapping[int, str]


def plan_run(
    pipeline: Pipeline,
    params: Mapping[str, Any] | None = None,
    *,
    only: Iterable[str] | None = None,
    start_at: str | None = None,
    skip: Iterable[str] = (),
) -> RunPlan:
    """The plan of a run with the options of ``Pipeline.run``, which says what they mean.

    Raises:
        DefinitionError: they cannot be meant.
    """
    return RunPlan(
        params=bind(pipeline.params, params or {}),
        left_out=left_out(pipeline.plan, only=only, start_at=start_at, skip=skip),
    )
