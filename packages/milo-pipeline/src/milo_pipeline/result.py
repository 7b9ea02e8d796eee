"""What is left of a run: its last state, what the phases returned, and what did not happen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from milo_pipeline.errors import PipelineFailed
from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    PipelineStatusName,
)


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """The outcome of ``Pipeline.run()``.

    Attributes:
        state: the last state of the run.
        results: what each completed phase returned, by name.
        errors: the last exception of each phase that failed or was skipped, by name,
            the first one first.
        blocked: for each phase that never began the names of the phases that were in its
            way; none when the run itself was cancelled.
        left_out: the phases that ``only``, ``start_at`` or ``skip`` kept from running, by
            name, each with the reason.
    """

    state: PipelineState
    results: Mapping[str, Any]
    errors: Mapping[str, BaseException]
    blocked: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> PipelineStatusName:
        """The pipeline's status: ``"completed"`` or ``"failed"``."""
        return self.state.status

    @property
    def ok(self) -> bool:
        """Whether every phase was completed or skipped."""
        return self.status == COMPLETED

    def raise_for_status(self) -> None:
        """Raise unless the run completed.

        Raises:
            PipelineFailed: names each failed phase and its error; its ``__cause__`` is the
                first of ``errors`` that belongs to a failed phase.
        """
        if self.ok:
            return
        causes = (self.errors[phase.name] for phase in self._failed() if phase.name in self.errors)
        raise PipelineFailed(self) from next(causes, None)

    def summary(self) -> str:
        """One line: how the run ended, which phases failed and why, how many never began.

        >>> PipelineResult(PipelineState("build", status="completed"), {}, {}, {}).summary()
        "pipeline 'build' completed"
        """
        parts = [f"pipeline {self.state.name!r} {self._ending()}"]
        parts += [f"{phase.name}: {self._reason(phase)}" for phase in self._failed()]
        if self.blocked:
            parts.append(f"{len(self.blocked)} of {len(self.state.phases)} phases never began")
        return "; ".join(parts)

    def _ending(self) -> str:
        cancelled = self.status == FAILED and self.state.error == CANCELLED
        return "was cancelled" if cancelled else self.status

    def _reason(self, phase: PhaseStatus) -> str:
        error = self.errors.get(phase.name)
        if error is None:
            return phase.error or "no reason given"
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

    def _failed(self) -> list[PhaseStatus]:
        """The failed phases: first those whose error is known, as it happened."""
        place = {name: i for i, name in enumerate(self.errors)}
        failed = [phase for phase in self.state.phases if phase.status == FAILED]
        return sorted(failed, key=lambda phase: place.get(phase.name, len(place)))


def blocked_by(plan: Plan, state: PipelineState) -> dict[str, tuple[str, ...]]:
    """Each phase that a failed run left pending, and the names of what kept it from beginning.

    Those are the failed phases among all that it depends on, directly or through others.
    Where none of these failed, another branch stopped the pipeline: then they are the
    phases that failed by themselves. Names stand in execution order. Empty for a run that
    has not failed.
    """
    if state.status != FAILED:
        return {}
    phases = state.phases
    failed = _failed_ancestors(plan, phases)
    stoppers = frozenset(
        i for i, phase in enumerate(phases) if phase.status == FAILED and phase.error != CANCELLED
    )
    return {
        phases[i].name: _names_in_order(plan, failed[i] or stoppers)
        for i in plan.order
        if phases[i].status == PENDING
    }


def _failed_ancestors(plan: Plan, phases: tuple[PhaseStatus, ...]) -> list[frozenset[int]]:
    """For each phase the failed ones it waits for; one set serves a whole chain behind it."""
    failed: list[frozenset[int]] = [frozenset()] * len(phases)
    for i in plan.order:
        for j in plan.dependencies[i]:
            found = failed[j] | {j} if phases[j].status == FAILED else failed[j]
            failed[i] = failed[i] | found if failed[i] and found else failed[i] or found
    return failed


def _names_in_order(plan: Plan, indexes: Iterable[int]) -> tuple[str, ...]:
    return tuple(plan.phases[i].name for i in sorted(indexes, key=plan.rank.__getitem__))
