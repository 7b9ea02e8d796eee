"""milo-pipeline: phases with dependencies, run through the store, watched as they run.

pipeline      ``Pipeline``: what you write down; becomes a reducer, a saga, a run
phase         ``Phase``: one step: name, handler, what it waits for
policy        ``PhasePolicy``: what happens when a handler raises
caching       ``Cache``: what a phase reads and writes, so that it can be left out
exports       what a run leaves behind: graphs, trace, timeline, report
affected      ``affected_by``: which phases read the files that have changed
patterns      ``PathPattern``: whether a file is among declared inputs or outputs
persistence   checkpoints and cached results
observers     ``PipelineObserver``: told of runs; plugins bring some
otel          one that makes OpenTelemetry spans
executors     where handlers are called: on a thread, in a process, where a plugin says
params        ``Param``: what a run can be given
selection     which phases a run leaves out
run_plan      what one run is to do, decided before anything runs
graph         the compiler: phases in, a plan of index tuples out
actions       what happens in a run: type names and a maker for each
reducer       the compiled reducer: from one state and action to the next state
state         ``PipelineState``: what a run looks like as a whole
phase_status  ``PhaseStatus``, ``PhaseLog``: what it looks like for one phase
statuses      the words a status can be
timeline      a run as plain data, and which run is active
detail        keys over a running pipeline: selecting, expanding, scrolling
result        ``PipelineResult``: what is left of a run
errors        what goes wrong
"""

from milo_pipeline.affected import affected_by
from milo_pipeline.caching import Cache
from milo_pipeline.detail import PipelineViewState, make_detail_reducer
from milo_pipeline.errors import (
    CycleError,
    DefinitionError,
    ItemFailed,
    ParameterError,
    PhaseTimeout,
    PipelineError,
    PipelineFailed,
    ProcessDied,
    TransferError,
)
from milo_pipeline.observers import PipelineObserver
from milo_pipeline.params import Param
from milo_pipeline.phase import Phase
from milo_pipeline.phase_status import PhaseLog, PhaseStatus
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.policy import PhasePolicy
from milo_pipeline.result import PipelineResult
from milo_pipeline.run_plan import PlannedPhase
from milo_pipeline.state import PipelineState
from milo_pipeline.timeline import get_active_pipeline, pipeline_to_timeline, set_active_pipeline

__version__ = "0.1.0"

__all__ = [
    "Cache",
    "CycleError",
    "DefinitionError",
    "ItemFailed",
    "Param",
    "ParameterError",
    "Phase",
    "PhaseLog",
    "PhasePolicy",
    "PhaseStatus",
    "PhaseTimeout",
    "Pipeline",
    "PipelineError",
    "PipelineFailed",
    "PipelineObserver",
    "PipelineResult",
    "PipelineState",
    "PipelineViewState",
    "PlannedPhase",
    "ProcessDied",
    "TransferError",
    "affected_by",
    "get_active_pipeline",
    "make_detail_reducer",
    "pipeline_to_timeline",
    "set_active_pipeline",
]
