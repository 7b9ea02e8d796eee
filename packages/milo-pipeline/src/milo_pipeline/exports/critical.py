"""Where the time went: the chain of phases that decided when the run ended, and the slowest."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest

from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import PENDING


@dataclass(frozen=True, slots=True)
class CriticalStep:
    """A phase on the critical path.

    Attributes:
        elapsed: seconds from its first attempt to its end, waits between attempts included.
        waited: seconds from the end of the step before (or the start of the run) to its
            first attempt: it waited for a worker, a resource, or a phase that runs alone.
    """

    phase: str
    elapsed: float
    waited: float


def critical_path(plan: Plan, state: PipelineState) -> tuple[CriticalStep, ...]:
    """The dependencies that decided when the run ended, the first one first.

    The last step is the phase that ended last; the one before it is, of the phases it
    depends on, the one that ended last, and so on. To make the run shorter, make one of
    these shorter, or what it waited for. Empty when no phase has begun. The time it takes is
    linear in the size of the graph.

    >>> from milo_pipeline import Phase, Pipeline
    >>> build = Pipeline("p", Phase("a", print), Phase("b", print, depends_on=["a"]))
    >>> a, b = PhaseStatus("a", "completed", 0.0, 2.0), PhaseStatus("b", "completed", 2.5, 1.0)
    >>> for step in critical_path(build.plan, PipelineState("p", (a, b))):
    ...     print(step)
    CriticalStep(phase='a', elapsed=2.0, waited=0.0)
    CriticalStep(phase='b', elapsed=1.0, waited=0.5)
    """
    phases = _in_plan_order(plan, state)
    chain = _chain(plan, phases)
    steps = []
    free_at = state.started_at
    for i in chain:
        phase = phases[i]
        waited = max(0.0, phase.started_at - free_at)
        steps.append(CriticalStep(phase.name, phase.elapsed, waited))
        free_at = _ended_at(phase)
    return tuple(steps)


def slowest(state: PipelineState, n: int) -> tuple[PhaseStatus, ...]:
    """The ``n`` phases that took longest, the longest first; none that has not begun."""
    begun = [phase for phase in state.phases if phase.attempt]
    return tuple(nlargest(n, begun, key=lambda phase: phase.elapsed))


def _chain(plan: Plan, phases: list[PhaseStatus]) -> list[int]:
    def last_of(indexes: tuple[int, ...]) -> int | None:
        begun = [i for i in indexes if phases[i].status != PENDING]
        return max(begun, key=lambda i: (_ended_at(phases[i]), plan.rank[i]), default=None)

    chain = []
    here = last_of(plan.order)
    while here is not None:
        chain.append(here)
        here = last_of(plan.dependencies[here])
    return chain[::-1]


def _ended_at(phase: PhaseStatus) -> float:
    return phase.started_at + phase.elapsed


def _in_plan_order(plan: Plan, state: PipelineState) -> list[PhaseStatus]:
    known = {phase.name: phase for phase in state.phases}
    return [known.get(phase.name) or PhaseStatus(phase.name) for phase in plan.phases]
