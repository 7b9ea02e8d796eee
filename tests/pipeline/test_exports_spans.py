"""Attempts, taken down while a run runs."""

from export_runs import FAILED, SITE, attempt, of, told
from run_tools import AT_ONCE

from milo_core import Action
from milo_pipeline import Phase, Pipeline, actions
from milo_pipeline.exports import Span, SpanRecorder, spans_of, tracebacks_of


def test_every_attempt_is_a_span():
    """A phase that was tried twice has two spans, in the order of their starts."""
    _, spans = told(SITE, *FAILED)
    assert [span for span in spans if span.phase == "parse"] == [
        Span("parse", 1, 100.0, 100.5, "retrying", "disk busy"),
        Span("parse", 2, 101.0, 101.5, "completed"),
    ]
    assert [span.started_at for span in spans] == sorted(span.started_at for span in spans)


def test_the_outcome_is_what_the_attempt_led_to():
    """Failed and skipped attempts say so, with the error."""
    pipeline = Pipeline("p", of("a"), of("b"))
    _, spans = told(
        pipeline,
        actions.pipeline_start(1.0),
        actions.phase_start("a", 1, 1.0),
        actions.phase_skipped("a", "away", 2.0),
        *attempt("b", 2.0, 3.0, "broken"),
    )
    assert [(span.outcome, span.error) for span in spans] == [
        ("skipped", "away"),
        ("failed", "broken"),
    ]


def test_cancelling_ends_every_open_attempt():
    """What ran when the run was cancelled ends there; so does what fail_fast cancelled."""
    pipeline = Pipeline("p", of("a"), of("b"))
    happened = [actions.pipeline_start(1.0), actions.phase_start("a", 1, 1.0)]
    _, spans = told(pipeline, *happened, actions.pipeline_cancelled(4.0))
    assert spans == (Span("a", 1, 1.0, 4.0, "cancelled", "cancelled"),)
    _, spans = told(pipeline, *happened, actions.phase_failed("a", "cancelled", 4.0))
    assert spans[0].outcome == "cancelled"


def test_an_attempt_that_has_not_ended_lasts_until_the_latest_event():
    """Seen in the middle of a run, an attempt is ``running``."""
    pipeline = Pipeline("p", of("a"))
    _, spans = told(
        pipeline,
        actions.pipeline_start(1.0),
        actions.phase_start("a", 1, 1.0),
        actions.phase_log("a", "on it", "stdout", 2.5),
    )
    assert spans == (Span("a", 1, 1.0, 2.5, "running"),)


def test_short_payloads_count_at_the_latest_time():
    """A bare name and a missing time are understood as the reducer understands them."""
    pipeline = Pipeline("p", of("a"))
    _, spans = told(
        pipeline,
        actions.pipeline_start(1.0),
        Action(actions.PHASE_START, "a"),
        actions.phase_log("a", "on it", "stdout", 2.0),
        Action(actions.PHASE_COMPLETE, "a"),
        Action(actions.PIPELINE_COMPLETE),
        Action("SOMETHING ELSE", 7),
    )
    assert spans == (Span("a", 1, 1.0, 2.0, "completed"),)


def test_a_phase_that_never_began_has_no_span():
    """Skipped beforehand is not an attempt."""
    _, spans = told(
        Pipeline("p", of("a")),
        actions.pipeline_start(1.0),
        actions.phase_skipped("a", "left out", 1.0),
    )
    assert spans == ()


def test_a_new_run_begins_a_new_record():
    """A store in which a pipeline runs twice leaves the spans of its last run."""
    pipeline = Pipeline("p", of("a"))
    first = actions.pipeline_start(1.0), *attempt("a", 1.0, 2.0)
    second = actions.pipeline_start(5.0), *attempt("a", 5.0, 6.0)
    assert [span.started_at for span in told(pipeline, *first, *second)[1]] == [5.0]


def test_it_fits_a_real_run():
    """``on_event`` of a recorder is what ``Pipeline.run`` wants."""
    tries = iter([OSError("busy"), None])

    def handler():
        error = next(tries)
        if error:
            raise error

    recorder = SpanRecorder()
    pipeline = Pipeline("p", Phase("a", handler, policy=AT_ONCE))
    pipeline.run(on_event=recorder.on_event).raise_for_status()
    assert [(span.attempt, span.outcome) for span in recorder.spans()] == [
        (1, "retrying"),
        (2, "completed"),
    ]


def test_a_state_alone_gives_a_span_for_each_phase_that_began():
    """Without a recorder there is one span from the first attempt to the end."""
    state, _ = told(SITE, *FAILED)
    spans = {span.phase: span for span in spans_of(state)}
    assert spans["parse"] == Span("parse", 2, 100.0, 101.5, "completed")
    assert "health" not in spans


def test_tracebacks_show_causes():
    """The text is what Python prints, causes included."""
    error = RuntimeError("no page")
    error.__cause__ = OSError("disk")
    text = tracebacks_of({"a": error})["a"]
    assert text.endswith("RuntimeError: no page")
    assert "OSError: disk" in text
