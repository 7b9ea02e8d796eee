"""Traces: which spans a run becomes, and that nothing is paid for where nobody traces."""

import sys

import pytest
from run_tools import AT_ONCE, SKIP, phase, python, raising

from milo_core.plugins import PluginGroup
from milo_pipeline import Pipeline, actions
from milo_pipeline.observers import Observers
from milo_pipeline.otel import OtelObserver, otel_observer

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

NONE_INSTALLED = PluginGroup("milo.observers", entry_points=[])


class Traced:
    """The spans that runs have left, by name."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("tests")

    def run(self, pipeline):
        observers = Observers(pipeline, [OtelObserver(self.tracer)], group=NONE_INSTALLED)
        result = pipeline.run(on_event=observers.on_event)
        observers.close(result.state)
        return self.spans()

    def tell(self, pipeline, *happened):
        """A run told by hand."""
        observers = Observers(pipeline, [OtelObserver(self.tracer)], group=NONE_INSTALLED)
        reduce, state = pipeline.build_reducer(), None
        for action in happened:
            state = reduce(state, action)
            observers.on_event(action, state)
        observers.close(state)
        return self.spans()

    def spans(self):
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def traced():
    return Traced()


def parents(spans):
    """Name to the name of the parent, ``None`` at the top."""
    names = {span.context.span_id: span.name for span in spans.values()}
    return {
        span.name: names[span.parent.span_id] if span.parent else None for span in spans.values()
    }


def test_a_run_is_a_tree_of_spans(traced):
    """The run holds its phases, a phase its attempts, each with what came of it."""
    spans = traced.run(Pipeline("build", phase("parse")))
    assert parents(spans) == {
        "pipeline build": None,
        "phase parse": "pipeline build",
        "attempt 1": "phase parse",
    }
    assert spans["pipeline build"].attributes == {
        "milo.pipeline.name": "build",
        "milo.pipeline.phases": 1,
        "milo.pipeline.status": "completed",
    }
    assert spans["phase parse"].attributes == {
        "milo.pipeline.name": "build",
        "milo.phase.name": "parse",
        "milo.phase.status": "completed",
        "milo.phase.attempts": 1,
    }
    assert spans["attempt 1"].attributes["milo.phase.attempt"] == 1
    assert all(span.status.is_unset for span in spans.values())


def test_a_retry_is_an_event_between_two_attempts(traced):
    """The failed attempt has the error; the phase that came through has none."""
    failing = raising(OSError("disk busy"))
    spans = traced.run(
        Pipeline("p", phase("a", lambda: failing.calls or failing(), policy=AT_ONCE))
    )
    assert (spans["attempt 1"].status.is_ok, spans["attempt 1"].status.description) == (
        False,
        "disk busy",
    )
    assert spans["attempt 2"].status.is_unset and spans["phase a"].status.is_unset
    (retry,) = spans["phase a"].events
    assert (retry.name, dict(retry.attributes)) == (
        "retry",
        {"milo.phase.attempt": 1, "milo.phase.error": "disk busy"},
    )


def test_a_failure_is_an_error_all_the_way_up(traced):
    """Attempt, phase and run have the status ERROR with the exception's message."""
    spans = traced.run(Pipeline("p", phase("a", raising(ValueError("no such page")))))
    assert {span.status.description for span in spans.values()} == {"no such page"}
    assert len(spans) == 3 and not any(span.status.is_ok for span in spans.values())
    assert spans["phase a"].attributes["milo.phase.error"] == "no such page"


def test_a_skipped_phase_is_no_error_of_the_run(traced):
    """Only its attempt failed."""
    spans = traced.run(Pipeline("p", phase("a", raising(ValueError("old")), policy=SKIP)))
    assert spans["attempt 1"].status.description == "old"
    assert spans["phase a"].attributes["milo.phase.status"] == "skipped"
    assert spans["phase a"].status.is_unset and spans["pipeline p"].status.is_unset


def test_times_are_those_of_the_actions(traced):
    """Spans last as long as the state says, to the microsecond, and lie within each other."""
    spans = traced.tell(
        Pipeline("p", phase("a")),
        actions.pipeline_start(100.0),
        actions.phase_start("a", 1, 100.25),
        actions.phase_retry("a", 1, "busy", 1, 101.0),
        actions.phase_start("a", 2, 102.0),
        actions.phase_complete("a", None, 102.5),
        actions.pipeline_complete(103.0),
    )
    start = spans["pipeline p"].start_time

    def seconds(name):
        span = spans[name]
        return [round((each - start) / 1e9, 6) for each in (span.start_time, span.end_time)]

    assert {name: seconds(name) for name in spans} == {
        "attempt 1": [0.25, 1.0],
        "attempt 2": [2.0, 2.5],
        "phase a": [0.25, 2.5],
        "pipeline p": [0.0, 3.0],
    }
    assert spans["phase a"].events[0].timestamp == spans["attempt 1"].end_time


def test_a_phase_that_never_began_is_an_event_of_the_run(traced):
    """There is nothing to time in it."""
    spans = traced.tell(
        Pipeline("p", phase("a")),
        actions.pipeline_start(100.0),
        actions.phase_skipped("a", "not today", 100.5),
        actions.pipeline_complete(101.0),
    )
    (event,) = spans["pipeline p"].events
    assert event.name == "phase skipped"
    assert event.attributes["milo.phase.name"] == "a"
    assert event.attributes["milo.phase.error"] == "not today"


def test_a_cancelled_run_leaves_no_span_open(traced):
    """What ran ends with the run, with the error ``cancelled``."""
    spans = traced.tell(
        Pipeline("p", phase("a")),
        actions.pipeline_start(100.0),
        actions.phase_start("a", 1, 100.0),
        actions.pipeline_cancelled(101.0),
    )
    assert {name: span.status.description for name, span in spans.items()} == dict.fromkeys(
        ["attempt 1", "phase a", "pipeline p"], "cancelled"
    )


def test_a_run_that_breaks_off_leaves_no_span_open(traced):
    """A phase of which nothing more was told ends with the run, as an error."""
    spans = traced.tell(
        Pipeline("p", phase("a")),
        actions.pipeline_start(100.0),
        actions.phase_start("a", 1, 100.0),
    )
    assert spans["phase a"].status.description == "the run has ended"


def test_a_run_is_a_child_of_the_span_around_it(traced):
    """The span that is current where the observer is made is the parent."""
    with traced.tracer.start_as_current_span("deploy"):
        traced.run(Pipeline("p", phase("a")))
    assert parents(traced.spans())["pipeline p"] == "deploy"


def test_without_a_provider_spans_are_nothing():
    """The API alone is enough to be run with."""
    assert not trace.get_current_span().is_recording()
    pipeline = Pipeline("p", phase("a"))
    observers = Observers(pipeline, [OtelObserver()], group=NONE_INSTALLED)
    result = pipeline.run(on_event=observers.on_event)
    observers.close(result.state)
    assert result.ok


def test_a_program_that_uses_it_is_traced():
    """The installed factory makes an observer once OpenTelemetry has been imported."""
    assert isinstance(otel_observer(Pipeline("p")), OtelObserver)


def test_a_program_that_does_not_use_it_pays_nothing():
    """The installed factory stays out, and imports nothing."""
    told = python(
        """
        import sys
        from milo_pipeline import Pipeline
        from milo_pipeline.otel import otel_observer
        print(otel_observer(Pipeline("p")), [m for m in sys.modules if "opentelemetry" in m])
        """
    )
    assert told == "None []\n"


def test_where_it_is_not_installed_the_factory_is_silent(monkeypatch):
    """Even if the environment configures it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    assert otel_observer(Pipeline("p")) is None
