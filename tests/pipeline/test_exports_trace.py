"""A run as a trace: what Perfetto needs, and how lanes are given out."""

import json

from export_runs import FAILED, ITEMS_FAILED, PAGES, SITE, attempt, of, told
from hypothesis import given, settings
from hypothesis import strategies as st

from milo_pipeline import Pipeline, actions
from milo_pipeline.exports import Span, chrome_trace


def events_of(trace, kind):
    return [event for event in trace["traceEvents"] if event["ph"] == kind]


def test_each_attempt_is_a_complete_event():
    """In microseconds since the start of the run, with number, outcome and error."""
    trace = chrome_trace(SITE, *told(SITE, *FAILED))
    write = next(event for event in events_of(trace, "X") if event["name"] == "write")
    assert write == {
        "name": "write",
        "ph": "X",
        "pid": 1,
        "tid": write["tid"],
        "ts": 3_000_000.0,
        "dur": 500_000.0,
        "cat": "failed",
        "args": {"attempt": 1, "outcome": "failed", "error": "disk <full>"},
    }
    assert len(events_of(trace, "X")) == 5
    assert trace["otherData"] == {"pipeline": "site", "status": "failed"}


def test_each_item_that_began_is_an_event():
    """Over all its attempts, and beside what ran at the same time, its phase among that."""
    trace = chrome_trace(PAGES, *told(PAGES, *ITEMS_FAILED))
    render, *items = events_of(trace, "X")
    assert [event["name"] for event in items] == ["render[0]", "render[1]", "render[2]"]
    assert (items[1]["ts"], items[1]["dur"], items[1]["cat"]) == (0.0, 3_000_000.0, "failed")
    assert items[1]["args"] == {"attempt": 2, "outcome": "failed", "error": "bad <page>"}
    assert items[2]["cat"] == "cancelled"
    first, second, third = (item["tid"] for item in items)
    assert len({render["tid"], first, second}) == 3
    assert third == first  # it began when that was over


def test_a_phase_may_be_called_as_an_item_is():
    """Both have their events, in lanes of their own."""
    pipeline = Pipeline("p", of("list"), of("render", "list", map_over="list"), of("render[0]"))
    happened = (*ITEMS_FAILED[:-1], *attempt("render[0]", 100.0, 103.0))
    trace = chrome_trace(pipeline, *told(pipeline, *happened))
    lanes = [event["tid"] for event in events_of(trace, "X") if event["name"] == "render[0]"]
    assert len(set(lanes)) == 2


def test_a_retry_is_marked_where_the_attempt_failed():
    """An instant event on the lane of the phase."""
    trace = chrome_trace(SITE, *told(SITE, *FAILED))
    (retry,) = events_of(trace, "i")
    assert (retry["name"], retry["ts"], retry["s"]) == ("retry parse", 500_000.0, "t")


def test_process_and_lanes_are_named():
    """The process bears the pipeline's name; two phases at a time take two lanes."""
    trace = chrome_trace(SITE, *told(SITE, *FAILED))
    names = [event["args"]["name"] for event in events_of(trace, "M")]
    assert names == ["site", "lane 1", "lane 2"]


def test_arrows_tie_phases_to_what_they_waited_for():
    """Each begins within the last attempt of one phase and ends in the first of another."""
    trace = chrome_trace(SITE, *told(SITE, *FAILED))
    starts, ends = events_of(trace, "s"), events_of(trace, "f")
    assert [event["id"] for event in starts] == [event["id"] for event in ends] == [1, 2, 3]
    for arrow in [*starts, *ends]:
        assert any(
            event["tid"] == arrow["tid"]
            and event["ts"] <= arrow["ts"] <= event["ts"] + event["dur"]
            for event in events_of(trace, "X")
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), min_size=1, max_size=20))
def test_no_lane_is_taken_twice(times):
    """Phases on one lane do not overlap, and there are no more lanes than ran at once."""
    spans = [
        Span(f"p{i}", 1, float(start), float(start + length), "completed")
        for i, (start, length) in enumerate(times)
    ]
    pipeline = Pipeline("p", *(of(span.phase) for span in spans))
    state, _ = told(pipeline, actions.pipeline_start(0.0))
    shown = sorted(events_of(chrome_trace(pipeline, state, spans), "X"), key=lambda e: e["ts"])
    free_at = {}
    for event in shown:
        assert free_at.get(event["tid"], 0) <= event["ts"]
        free_at[event["tid"]] = event["ts"] + event["dur"]
    busiest = max(
        sum(one.started_at <= span.started_at < one.ended_at for one in spans) for span in spans
    )
    assert len(free_at) == busiest


def test_what_cannot_be_seen_is_made_visible():
    """Names and errors hold nothing that a viewer or a JSON reader could stumble over."""
    pipeline = Pipeline("\ud800", of("a\x00b"))
    happened = actions.pipeline_start(0.0), *attempt("a\x00b", 0.0, 1.0, "bad\x1b[2J")
    text = json.dumps(chrome_trace(pipeline, *told(pipeline, *happened)), ensure_ascii=False)
    assert text.isprintable()


def test_a_run_that_never_began():
    """There is a process and no event."""
    state, spans = told(SITE, actions.pipeline_cancelled(5.0))
    trace = chrome_trace(SITE, state, spans)
    assert [event["ph"] for event in trace["traceEvents"]] == ["M"]
