"""Pipelines in one place: what you write down, what a run looks like, what is left of it."""

from milo_pipeline import (
    CycleError,
    DefinitionError,
    Phase,
    PhaseLog,
    PhasePolicy,
    PhaseStatus,
    Pipeline,
    PipelineError,
    PipelineFailed,
    PipelineResult,
    PipelineState,
    PipelineViewState,
    get_active_pipeline,
    make_detail_reducer,
    pipeline_to_timeline,
    set_active_pipeline,
)

__all__ = [
    "CycleError",
    "DefinitionError",
    "Phase",
    "PhaseLog",
    "PhasePolicy",
    "PhaseStatus",
    "Pipeline",
    "PipelineError",
    "PipelineFailed",
    "PipelineResult",
    "PipelineState",
    "PipelineViewState",
    "get_active_pipeline",
    "make_detail_reducer",
    "pipeline_to_timeline",
    "set_active_pipeline",
]
