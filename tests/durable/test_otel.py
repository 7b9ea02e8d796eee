"""Traces and metrics: one trace for a saga in whatever processes it runs, and what is counted."""

import asyncio
import subprocess
import sys
from datetime import timedelta

import pytest
from saga_tools import START, Plain, Saga, Step, chain, failing, on, refuse, wait_once
from sqlalchemy import event

from milo_durable import FixedRetry, StepAwaitEvent
from milo_durable.otel import OtelHooks

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

HOUR = timedelta(hours=1)
AGAIN = {"retry_policy": FixedRetry(1, HOUR)}


class Traced:
    """What a process has traced and counted."""

    def __init__(self):
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracer = provider.get_tracer("tests")
        self.hooks = OtelHooks(self.tracer, meters.get_meter("tests"))

    def on(self, bench):
        """Trace what this bench does from now on."""
        bench.orchestrator, bench.admin = bench.another(hooks=[self.hooks])
        return bench.orchestrator

    def spans(self):
        """All, in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    def span(self, name):
        (found,) = [span for span in self.spans() if span.name == name]
        return found

    def counted(self, name):
        """Values of a metric, by what follows ``milo.`` in the attributes that differ."""
        data = self._reader.get_metrics_data()
        points = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            if metric.name == name:
                for point in metric.data.data_points:
                    key = tuple(value for _, value in sorted(point.attributes.items()))
                    points[key] = getattr(point, "value", None) or point.count
        return points


@pytest.fixture
def traced():
    return Traced()


def parents(spans):
    """Each span's name with its parent's, in order."""
    names = {span.context.span_id: span.name for span in spans}
    return [(span.name, names[span.parent.span_id] if span.parent else None) for span in spans]


def errors(spans):
    """The error of each span, by its name, ``None`` for one without."""
    return {span.name: None if span.status.is_unset else span.status.description for span in spans}


def test_a_saga_is_a_trace(database, traced):
    """Its steps and its life are below its start, which is below the span of who started it."""

    async def scenario(bench):
        traced.on(bench)
        with traced.tracer.start_as_current_span("request"):
            return await bench.begin(chain(Plain(), Plain()))

    saga_id = on(database, scenario)
    assert parents(traced.spans()) == [
        ("start saga", "request"),
        ("step step_0", "start saga"),
        ("saga saga", "start saga"),
        ("step step_1", "start saga"),  # its span ends when all is told
        ("request", None),
    ]
    common = {
        "milo.saga.name": "saga",
        "milo.saga.id": str(saga_id),
        "milo.saga.version": 1,
        "milo.saga.aggregation_id": "key",
    }
    assert traced.span("start saga").attributes == common
    assert traced.span("saga saga").attributes == {**common, "milo.saga.status": "COMPLETED"}
    assert traced.span("step step_0").attributes == {
        **common,
        "milo.step.id": "step_0",
        "milo.step.name": "Plain",
        "milo.step.phase": "execute",
        "milo.step.attempt": 1,
        "milo.step.status": "SUCCESS",
    }
    assert all(span.status.is_unset for span in traced.spans())


def test_a_trace_goes_on_in_other_processes(database, traced):
    """What another orchestrator does later, with hooks of its own, is below the same start."""
    later = Traced()

    def behave(attempt, inp):
        return (
            StepAwaitEvent(event_types=["paid"], until=START + 9 * HOUR) if attempt == 1 else None
        )

    async def scenario(bench):
        traced.on(bench)
        steps = [Step("a", [], failing(1)), Step("b", [], behave)]
        saga_id = await bench.begin(chain(*steps, step0=AGAIN))
        later.on(bench).register("saga", chain(*steps, step0=AGAIN))
        bench.clock.forward(2 * HOUR)
        await bench.orchestrator.run_due()
        with later.tracer.start_as_current_span("webhook"):
            assert await bench.notify(saga_id, {"event_id": "e", "event_type": "paid"})

    on(database, scenario)
    spans = traced.spans() + later.spans()
    (trace_id,) = {span.context.trace_id for span in spans if span.name != "webhook"}
    assert parents(spans) == [
        ("start saga", None),
        ("step step_0", "start saga"),
        ("step step_0", "start saga"),
        ("step step_1", "start saga"),
        ("event paid", "start saga"),
        ("saga saga", "start saga"),
        ("step step_1", "start saga"),  # its span ends when all is told
        ("webhook", None),
    ]
    (link,) = later.span("event paid").links
    assert link.context.span_id == later.span("webhook").context.span_id
    assert link.context.trace_id != trace_id

    (retry,) = traced.span("step step_0").events
    assert (retry.name, dict(retry.attributes)) == (
        "retry",
        {
            "milo.step.attempt": 1,
            "milo.step.error": "RuntimeError: failure 1",
            "milo.step.retry_at": (START + HOUR).isoformat(),
        },
    )
    first = next(span for span in later.spans() if span.name == "step step_1")
    (wait,) = first.events
    assert (wait.name, dict(wait.attributes)) == (
        "wait",
        {"milo.event.types": ("paid",), "milo.event.until": (START + 9 * HOUR).isoformat()},
    )


def test_the_life_of_a_saga_is_as_long_as_it_was(database, traced):
    """The span of the saga goes from its start to its end, by the orchestrator's clock."""

    async def scenario(bench):
        traced.on(bench)
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        bench.clock.forward(3 * HOUR)
        await bench.notify(saga_id, {"x": 1})

    on(database, scenario)
    life = traced.span("saga saga")
    assert life.start_time == START.timestamp() * 1e9
    assert life.end_time - life.start_time == 3 * HOUR.total_seconds() * 1e9


def test_failures_are_errors_with_their_messages(database, traced):
    """The step that failed and the saga that could not be undone are errors; others are not."""

    def undo():
        raise RuntimeError("stuck")

    async def scenario(bench):
        traced.on(bench)
        steps = Step("a", [], undo=undo), Step("b", []), Step("c", [], refuse)
        await bench.begin(chain(*steps))

    on(database, scenario)
    assert errors(traced.spans()) == {
        "start saga": None,
        "step step_0": None,
        "step step_1": None,
        "step step_2": "RuntimeError: refused",
        "compensate step_1": None,
        "compensate step_0": "RuntimeError: stuck",
        "saga saga": "RuntimeError: refused",
    }
    assert traced.span("step step_2").attributes["milo.step.error"] == "RuntimeError: refused"


def test_a_saga_that_was_undone_is_no_error(database, traced):
    """It has ended as it should; what it was undone for is an attribute."""

    async def scenario(bench):
        traced.on(bench)
        await bench.begin(chain(Plain(), Step("c", [], refuse)))

    on(database, scenario)
    life = traced.span("saga saga")
    assert life.status.is_unset and life.attributes["milo.saga.status"] == "COMPENSATED"
    assert life.attributes["milo.saga.error"] == "RuntimeError: refused"


def test_spans_that_a_step_makes_are_below_its_own(database, traced):
    """The run's span is current in the step: async or on a thread, forward and back."""

    class OnThread(Plain):
        def execute(self, inp):
            traced.tracer.start_span("on a thread").end()
            return inp

        def compensate(self, inp, out):
            traced.tracer.start_span("back on a thread").end()

    async def behave(attempt, inp):
        traced.tracer.start_span("async").end()
        raise RuntimeError("no")

    async def scenario(bench):
        traced.on(bench)
        await bench.begin(chain(OnThread(), Step("b", [], behave)))
        assert not trace.get_current_span().get_span_context().is_valid

    on(database, scenario)
    below = dict(parents(traced.spans()))
    assert below["on a thread"] == "step step_0"
    assert below["async"] == "step step_1"
    assert below["back on a thread"] == "compensate step_0"


def test_a_saga_started_by_a_step_is_below_it(database, traced):
    """The traces of both are one, and what happens to the inner saga is not told of the outer."""

    async def scenario(bench):
        traced.on(bench)
        bench.orchestrator.register("inner", chain(Step("x", [], refuse)))

        async def behave(attempt, inp):
            await bench.begin(name="inner", key="other")

        await bench.begin(chain(Step("a", [], behave)))

    on(database, scenario)
    spans = traced.spans()
    inner = next(span for span in spans if span.name == "start inner")
    outer = next(s for s in spans if s.parent and s.context.span_id == inner.parent.span_id)
    assert outer.name == "step step_0" and outer.status.is_unset
    assert outer.attributes["milo.step.status"] == "SUCCESS"
    assert len({span.context.trace_id for span in spans}) == 1


def test_a_run_whose_saga_was_taken_over_is_an_error(database, traced):
    """Nothing came of it, and its span says so."""

    async def scenario(bench):
        inside, may_end = asyncio.Event(), asyncio.Event()

        async def behave(attempt, inp):
            inside.set()
            await may_end.wait()

        traced.on(bench)
        starting = asyncio.ensure_future(bench.begin(chain(Step("a", [], behave))))
        await inside.wait()
        (row,) = await bench.sagas()
        await bench.admin.abort(row.id)
        may_end.set()
        await starting

    on(database, scenario)
    run = traced.span("step step_0")
    assert run.status.description == "others have taken the saga over"
    assert run.attributes["milo.step.status"] == "LOST"
    assert traced.span("saga saga").status.description == "aborted"


def test_a_run_that_is_cancelled_or_cut_off_is_an_error(database, traced):
    """When the worker stops or the database fails, the run's span has ended with that."""

    async def scenario(bench):
        inside = asyncio.Event()

        async def behave(attempt, inp):
            inside.set()
            await asyncio.Event().wait()

        traced.on(bench)
        starting = asyncio.ensure_future(bench.begin(chain(Step("a", [], behave))))
        await inside.wait()
        starting.cancel()
        await asyncio.wait({starting})
        cancelled = traced.span("step step_0")

        def cut(connection, cursor, statement, *rest):
            if statement.startswith("UPDATE"):
                raise ConnectionResetError("cut off")

        event.listen(bench.engine.sync_engine, "before_cursor_execute", cut)
        bench.orchestrator.register("other", chain(Plain()))
        with pytest.raises(ConnectionResetError):
            await bench.begin(name="other", key="other")
        return cancelled, traced.spans()[-1]

    cancelled, cut_off = on(database, scenario)
    assert cancelled.status.description == "the run was cancelled"
    assert cut_off.status.description == "ConnectionResetError: cut off"
    assert cut_off.attributes["milo.step.status"] == "LOST"


def test_a_saga_that_was_not_started_leaves_no_span(database, traced):
    """A start that is refused is traced by nobody."""

    async def scenario(bench):
        traced.on(bench)
        await bench.begin(chain(Step("a", [], wait_once)))
        before = len(traced.spans())
        with pytest.raises(Exception, match="active already"):
            await bench.begin()
        return before, len(traced.spans())

    before, after = on(database, scenario)
    assert before == after


def test_what_is_counted(database, traced):
    """Sagas by name and status, runs of steps by what came of them, and accepted events."""

    async def scenario(bench):
        traced.on(bench)
        bench.orchestrator.register("undone", chain(Step("x", []), Step("y", [], refuse)))
        await bench.begin(name="undone", key="other")
        saga_id = await bench.begin(
            chain(Step("a", [], failing(1)), Step("b", [], wait_once), step0=AGAIN)
        )
        await bench.later()
        await bench.notify(saga_id, {"event_id": "e", "event_type": "paid"})

    on(database, scenario)
    assert traced.counted("milo.saga.started") == {("saga",): 1, ("undone",): 1}
    ended = {("saga", "COMPLETED"): 1, ("undone", "COMPENSATED"): 1}
    assert traced.counted("milo.saga.ended") == ended
    assert traced.counted("milo.saga.duration") == ended
    assert traced.counted("milo.saga.events") == {("paid", "saga"): 1}
    assert traced.counted("milo.step.duration") == {
        ("saga", "step_0", "execute", "ERROR"): 1,
        ("saga", "step_0", "execute", "SUCCESS"): 1,
        ("saga", "step_1", "execute", "WAITING"): 1,
        ("saga", "step_1", "execute", "SUCCESS"): 1,
        ("undone", "step_0", "execute", "SUCCESS"): 1,
        ("undone", "step_1", "execute", "ERROR"): 1,
        ("undone", "step_0", "compensate", "SUCCESS"): 1,
    }


def test_what_is_done_from_outside_is_in_the_trace(database, traced):
    """An operator's retry is a span below the start; an event of the inbox and a lateness too."""

    def behave(attempt, inp):
        return StepAwaitEvent(until=START + HOUR)

    async def scenario(bench):
        traced.on(bench)
        saga_id = await bench.begin(chain(Step("a", [], behave)))
        await bench.admin.retry_step(saga_id)
        await bench.ingest("e")
        await bench.orchestrator.run_inbox_due()
        await bench.later()

    on(database, scenario)
    assert [name for name, parent in parents(traced.spans()) if parent] == [
        "step step_0",
        "resume saga",
        "step step_0",
        "event",
        "step step_0",
        "saga saga",
    ]
    late = "the event did not come in time"
    assert traced.span("saga saga").status.description == late


def test_a_saga_that_nobody_traced_as_it_started(database, traced):
    """Its runs are below whatever span is current, or traces of their own."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], wait_once)))
        traced.on(bench).register("saga", chain(Plain()))
        with traced.tracer.start_as_current_span("webhook"):
            await bench.notify(saga_id, {"x": 1})

    on(database, scenario)
    assert dict(parents(traced.spans()))["step step_0"] == "webhook"


def test_without_a_provider_nothing_is_kept(database):
    """The API alone is enough to run with, and leaves nothing in the saga."""

    async def scenario(bench):
        bench.orchestrator, bench.admin = bench.another(hooks=[OtelHooks()])
        return await bench.see(await bench.begin(chain(Plain())))

    saga = on(database, scenario)
    assert saga.status == "COMPLETED" and "headers" not in saga.context


def test_nothing_is_imported_until_hooks_are_made():
    """The package and this module of it do without OpenTelemetry."""
    script = (
        "import sys, milo_durable.otel; "
        "print([each for each in sys.modules if each.startswith('opentelemetry')])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.stdout == "[]\n", ran.stderr


def test_the_saga_keeps_the_trace_context_of_w3c(database, traced):
    """``context["headers"]["traceparent"]`` is that of the start."""

    async def scenario(bench):
        traced.on(bench)
        await bench.begin(chain(Plain()))
        (row,) = await bench.sagas()
        assert isinstance(row, Saga)
        return row.context["headers"]

    headers = on(database, scenario)
    context = traced.span("start saga").context
    assert list(headers) == ["traceparent"]
    assert headers["traceparent"][:53] == f"00-{context.trace_id:032x}-{context.span_id:016x}-"
