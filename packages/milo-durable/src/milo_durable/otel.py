"""OpenTelemetry: a trace for each saga, in whatever processes it runs, and metrics.

Install ``milo-durable[otel]`` and give the hooks: ``hooks=[OtelHooks()]``.

Nothing of OpenTelemetry is imported until ``OtelHooks`` is made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from milo_durable.events import NotifyEvent
from milo_durable.hooks import SagaHooks, StepEvent
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import SagaStatus

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer

Facts: TypeAlias = Mapping[str, str | int | list[str]]
_BROKEN = (SagaStatus.FAILED, SagaStatus.TIMEOUT)


@dataclass(slots=True)
class _Run:
    """The run of a step that goes on in this context; ``status`` is ``None`` until it is told."""

    step: StepEvent
    span: Span
    status: str | None = None

    def is_of(self, step: StepEvent) -> bool:
        """Whether ``step`` tells what came of it."""
        mine = self.step
        return (mine.saga.id, mine.step_id, mine.phase) == (step.saga.id, step.step_id, step.phase)


_run: ContextVar[_Run | None] = ContextVar("milo_durable_run", default=None)
_starting: ContextVar[Span | None] = ContextVar("milo_durable_starting", default=None)


class OtelHooks(SagaHooks):
    """Traces and counts the sagas of an orchestrator.

    ``start NAME`` is a child of the span that is current where the saga is started. Its trace
    context, ``traceparent`` as W3C has it, is kept with the saga, and in whatever process it
    goes on, all else is a child of it: ``step ID`` and ``compensate ID`` for each run of a
    step, ``event TYPE`` and ``resume NAME``, linked to the span of who sent it, and
    ``saga NAME`` for its whole life, when it ends. A step's span is current while the step
    runs, on a thread too.

    What failed has the status ERROR with the error's message; so has a run whose worker has
    lost the saga. Retries and waits are events of the run's span. Attributes and metrics begin
    with ``milo.``: ``milo.saga.started``, ``milo.saga.ended``, ``milo.saga.duration``,
    ``milo.saga.events`` and ``milo.step.duration``, which also counts the runs. A run's
    ``milo.step.status`` is that of the history, or ``LOST``.

    Args:
        tracer: where spans go; by default a tracer ``milo_durable`` of the global provider.
        meter: where metrics go; by default a meter ``milo_durable`` of the global provider.

    Raises:
        ModuleNotFoundError: ``opentelemetry-api`` is not installed.
    """

    def __init__(self, tracer: Tracer | None = None, meter: Meter | None = None) -> None:
        from opentelemetry import metrics, trace
        from opentelemetry.trace.propagation import tracecontext

        self._tracer = trace.get_tracer("milo_durable") if tracer is None else tracer
        self._format = tracecontext.TraceContextTextMapPropagator()
        meter = metrics.get_meter("milo_durable") if meter is None else meter
        self._started = meter.create_counter(
            "milo.saga.started", unit="{saga}", description="Sagas that were started"
        )
        self._ended = meter.create_counter(
            "milo.saga.ended", unit="{saga}", description="Sagas that have ended, by status"
        )
        self._events = meter.create_counter(
            "milo.saga.events", unit="{event}", description="Events that sagas have accepted"
        )
        self._lives = meter.create_histogram(
            "milo.saga.duration", unit="s", description="From the start of a saga to its end"
        )
        self._runs = meter.create_histogram(
            "milo.step.duration", unit="s", description="Runs of steps, forward and back"
        )

    # The saga

    def headers(self, saga_name: str, aggregation_id: str) -> Mapping[str, str]:
        from opentelemetry.trace import set_span_in_context

        facts = {"milo.saga.name": saga_name, "milo.saga.aggregation_id": aggregation_id}
        span = self._tracer.start_span(f"start {saga_name}", attributes=facts)
        _starting.set(span)  # it ends with the commit; if there is none, it never was
        carrier: dict[str, str] = {}
        self._format.inject(carrier, set_span_in_context(span))
        return carrier

    def saga_started(self, saga: SagaSnapshot) -> None:
        span = _starting.get()
        _starting.set(None)
        if span is not None:
            span.set_attributes(_facts_of(saga))
            span.end()
        self._started.add(1, {"milo.saga.name": saga.saga_name})

    def saga_resumed(self, saga: SagaSnapshot) -> None:
        self._mark(f"resume {saga.saga_name}", saga, {"milo.saga.status": str(saga.status)})

    def event_accepted(self, saga: SagaSnapshot, event: NotifyEvent) -> None:
        given = {"milo.event.id": event.event_id, "milo.event.type": event.event_type}
        facts = {name: value for name, value in given.items() if value is not None}
        name = "event" if event.event_type is None else f"event {event.event_type}"
        self._mark(name, saga, facts)
        counted = {"milo.saga.name": saga.saga_name}
        self._events.add(1, {**counted, "milo.event.type": event.event_type or ""})

    def saga_ended(self, saga: SagaSnapshot) -> None:
        status = {"milo.saga.status": str(saga.status)}
        span = self._tracer.start_span(
            f"saga {saga.saga_name}",
            self._context_of(saga),
            attributes={**_facts_of(saga), **status},
            start_time=_nanoseconds(saga.created_at),
        )
        if saga.error is not None:
            span.set_attribute("milo.saga.error", saga.error)
        if saga.status in _BROKEN:
            _set_error(span, saga.error or "")
        span.end(_nanoseconds(saga.updated_at))
        counted = {"milo.saga.name": saga.saga_name, **status}
        self._ended.add(1, counted)
        self._lives.record((saga.updated_at - saga.created_at).total_seconds(), counted)

    # Its steps

    @contextmanager
    def around_step(self, step: StepEvent) -> Iterator[None]:
        """The run's span, which is current in the block."""
        from opentelemetry.trace import use_span

        verb = "step" if step.phase == "execute" else "compensate"
        span = self._tracer.start_span(
            f"{verb} {step.step_id}", self._context_of(step.saga), attributes=_facts_of_step(step)
        )
        run = _Run(step, span)
        token, began = _run.set(run), time.perf_counter()
        try:
            with use_span(span):
                yield
            if run.status is None:
                _set_error(span, "others have taken the saga over")
        except asyncio.CancelledError:  # the worker stops; use_span tells of other errors
            _set_error(span, "the run was cancelled")
            raise
        finally:
            _run.reset(token)
            status = run.status or "LOST"
            span.set_attribute("milo.step.status", status)
            span.end()
            counted = {
                "milo.saga.name": step.saga.saga_name,
                "milo.step.id": step.step_id,
                "milo.step.phase": step.phase,
                "milo.step.status": status,
            }
            self._runs.record(time.perf_counter() - began, counted)

    def step_succeeded(self, step: StepEvent) -> None:
        _tell(step)

    def step_waiting(self, step: StepEvent) -> None:
        run = _tell(step)
        if run is not None:
            awaiting = step.saga.awaiting or {}
            facts: dict[str, str | list[str]] = {}
            if awaiting.get("event_types"):
                facts["milo.event.types"] = awaiting["event_types"]
            if awaiting.get("correlation_id"):
                facts["milo.event.correlation_id"] = awaiting["correlation_id"]
            if step.saga.deadline_at is not None:
                facts["milo.event.until"] = step.saga.deadline_at.isoformat()
            run.span.add_event("wait", facts)

    def step_failed(self, step: StepEvent) -> None:
        run = _tell(step)
        if run is not None:
            error = step.error or ""
            run.span.set_attribute("milo.step.error", error)
            _set_error(run.span, error)
            if step.retry_at is not None:
                at = {"milo.step.retry_at": step.retry_at.isoformat()}
                facts: Facts = {"milo.step.attempt": step.attempt, "milo.step.error": error, **at}
                run.span.add_event("retry", facts)

    compensation_succeeded = step_succeeded
    compensation_failed = step_failed

    # Parts of them

    def _context_of(self, saga: SagaSnapshot) -> Context | None:
        """Where spans of this saga belong: below its start, or else where the caller is."""
        headers = saga.context.get("headers", {})
        return self._format.extract(headers) if "traceparent" in headers else None

    def _mark(self, name: str, saga: SagaSnapshot, facts: Facts) -> None:
        """A span for what took no time, linked to the span that is current."""
        from opentelemetry.trace import Link, get_current_span

        caller = get_current_span().get_span_context()
        links = [Link(caller)] if caller.is_valid else []
        attributes = {**_facts_of(saga), **facts}
        parent = self._context_of(saga)
        self._tracer.start_span(name, parent, attributes=attributes, links=links).end()


def _tell(step: StepEvent) -> _Run | None:
    """The run in this context, if it is what ``step`` tells of; its status is known now."""
    run = _run.get()
    if run is None or not run.is_of(step):
        return None  # an event that was late, or a step that was skipped
    run.status = step.status
    return run


def _facts_of(saga: SagaSnapshot) -> Facts:
    return {
        "milo.saga.name": saga.saga_name,
        "milo.saga.id": str(saga.id),
        "milo.saga.version": saga.definition_version,
        "milo.saga.aggregation_id": saga.aggregation_id,
    }


def _facts_of_step(step: StepEvent) -> Facts:
    return {
        **_facts_of(step.saga),
        "milo.step.id": step.step_id,
        "milo.step.name": step.step_name,
        "milo.step.phase": step.phase,
        "milo.step.attempt": step.attempt,
    }


def _set_error(span: Span, error: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, error))


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1e9)
