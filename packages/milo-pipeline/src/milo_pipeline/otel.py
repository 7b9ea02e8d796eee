"""OpenTelemetry traces of runs: a span for the run, for each phase in it, for each attempt.

Install ``milo-pipeline[otel]``. A program that sets OpenTelemetry up, or is started with
``opentelemetry-instrument``, has its runs traced without asking for it. To say which tracer
is used, give one: ``pipeline.run(observers=[OtelObserver(tracer)])``.

Nothing of OpenTelemetry is imported until an ``OtelObserver`` is made.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from milo_core import Action
from milo_pipeline.observers import PipelineObserver, moment
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import COMPLETED, FAILED

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from milo_pipeline.pipeline import Pipeline

Facts: TypeAlias = Mapping[str, str | int]


def otel_observer(pipeline: Pipeline) -> OtelObserver | None:
    """An ``OtelObserver``, or ``None`` in a program that has not begun to use OpenTelemetry.

    Without its import there is no tracer provider to give spans to, unless the environment
    names one to be made on demand. So a program that does not trace pays for no import.
    """
    is_used = "opentelemetry.trace" in sys.modules or "OTEL_PYTHON_TRACER_PROVIDER" in os.environ
    if not is_used:
        return None
    try:
        return OtelObserver()
    except ModuleNotFoundError:  # the environment speaks of what is not installed here
        return None


class OtelObserver(PipelineObserver):
    """Traces one run: ``pipeline NAME`` > ``phase NAME`` > ``attempt N``.

    The run's span is a child of the span that is current where the observer is made. Times
    are those of the actions. What failed has the status ERROR with the error's message; a
    skipped phase has not, for the pipeline goes on, but its attempts have. Attributes begin
    with ``milo.``. A retry is an event of the phase's span, a phase that was done without
    having begun one of the run's.

    Args:
        tracer: where spans go; by default a tracer ``milo_pipeline`` of the global provider.

    Raises:
        ModuleNotFoundError: ``opentelemetry-api`` is not installed.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        from opentelemetry import context, trace

        self._tracer = trace.get_tracer("milo_pipeline") if tracer is None else tracer
        self._context = context.get_current()
        self._run: Span = trace.INVALID_SPAN
        self._phases: dict[str, Span] = {}
        self._attempts: dict[str, Span] = {}
        self._offset = 0

    def run_started(self, state: PipelineState, action: Action) -> None:
        # Read once: a clock that is set during the run moves none of its spans.
        self._offset = time.time_ns() - time.monotonic_ns()
        facts: Facts = {
            "milo.pipeline.name": state.name,
            "milo.pipeline.phases": state._phase_count(),
        }
        self._run = self._begin(f"pipeline {state.name}", None, moment(action), facts)

    def phase_started(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        at, name = moment(action), phase.name
        facts: Facts = {"milo.pipeline.name": state.name, "milo.phase.name": name}
        if name not in self._phases:
            self._phases[name] = self._begin(f"phase {name}", self._run, at, facts)
        numbered = {**facts, "milo.phase.attempt": phase.attempt}
        span = self._begin(f"attempt {phase.attempt}", self._phases[name], at, numbered)
        self._attempts[name] = span

    def phase_retrying(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        at = moment(action)
        self._end_attempt(phase, at)
        if phase.name in self._phases:
            facts: Facts = {"milo.phase.attempt": phase.attempt, "milo.phase.error": phase.error}
            self._phases[phase.name].add_event("retry", facts, self._wall_clock(at))

    def phase_ended(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        at = moment(action)
        self._end_attempt(phase, at)
        facts = _facts_of(phase)
        span = self._phases.pop(phase.name, None)
        if span is None:
            named = {"milo.phase.name": phase.name, **facts}
            self._run.add_event(f"phase {phase.status}", named, self._wall_clock(at))
        else:
            span.set_attributes(facts)
            self._end(span, at, phase.error if phase.status == FAILED else None)

    def run_ended(self, state: PipelineState) -> None:
        at = state.started_at + state.elapsed
        for span in (*self._attempts.values(), *self._phases.values()):
            self._end(span, at, "the run has ended")
        self._attempts.clear()
        self._phases.clear()
        self._run.set_attribute("milo.pipeline.status", state.status)
        self._end(self._run, at, state.error if state.status == FAILED else None)

    def _end_attempt(self, phase: PhaseStatus, at: float) -> None:
        span = self._attempts.pop(phase.name, None)
        if span is None:  # it is over already, or never began
            return
        self._end(span, at, None if phase.status == COMPLETED else phase.error)

    def _begin(self, name: str, parent: Span | None, at: float, facts: Facts) -> Span:
        from opentelemetry.trace import set_span_in_context

        context = self._context if parent is None else set_span_in_context(parent, self._context)
        return self._tracer.start_span(
            name, context, attributes=facts, start_time=self._wall_clock(at)
        )

    def _end(self, span: Span, at: float, error: str | None) -> None:
        from opentelemetry.trace import Status, StatusCode

        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(self._wall_clock(at))

    def _wall_clock(self, at: float) -> int:
        """Monotonic seconds as nanoseconds since the epoch, which spans count in."""
        return round(at * 1e9) + self._offset


def _facts_of(phase: PhaseStatus) -> Facts:
    facts = {"milo.phase.status": phase.status, "milo.phase.attempts": phase.attempt}
    return {**facts, "milo.phase.error": phase.error} if phase.error else facts
