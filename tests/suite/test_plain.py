"""The plain display: which line each event becomes."""

import io

from suite_stories import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PAGES,
    SITE,
    UNRELATED,
    last_state,
    mapped,
    told,
)

from milo._cli.outcome import Outcome
from milo._cli.plain import PlainDisplay
from milo._cli.streams import LineWriter
from milo_pipeline import actions


def lines_of(happened, outcome=None, pipeline=SITE):
    stream = io.StringIO()
    display = PlainDisplay(LineWriter(stream))
    with display.showing():
        for action, state in told(pipeline, *happened):
            display.on_event(action, state)
    if outcome is not None:
        display.close(outcome)
    return stream.getvalue().splitlines()


def test_a_run_is_told_line_by_line():
    """Every event has a line; names stand in a column, captured lines behind a bar."""
    assert lines_of(COMPLETED) == [
        "site started (3 phases)",
        "parse   started",
        "parse  | 3 pages",
        "parse  | old syntax",
        "parse   completed in 0.50 s",
        "write   started",
        "write   attempt 1 failed, retrying: disk busy",
        "write   attempt 2 started",
        "write   completed in 1.50 s",
        "health  started",
        "health  skipped: a.md: no such heading",
    ]


def test_a_failure_is_told():
    """The error stands in the phase's line, and again in the summary."""
    outcome = Outcome(last_state(SITE, *FAILED), blocked={"health": ("write",)})
    assert lines_of(FAILED, outcome)[-3:] == [
        "write   failed: disk full",
        "site failed in 1.00 s: write: disk full",
        "never began: health (blocked by write)",
    ]


def test_a_cancelled_run_is_told_by_its_summary():
    """There is no line for the cancelling itself."""
    outcome = Outcome(last_state(SITE, *CANCELLED), interrupted=130)
    assert lines_of(CANCELLED, outcome)[-2:] == [
        "parse  | old syntax",
        "site interrupted after 3.00 s (0 of 3 phases done)",
    ]


def test_other_actions_are_not_told():
    """What is no pipeline action has no line."""
    assert lines_of((*COMPLETED[:1], UNRELATED)) == ["site started (3 phases)"]


def test_a_phase_skipped_without_an_error_is_told():
    """A phase may be left out for a reason that is no error."""
    happened = (*COMPLETED[:1], actions.phase_skipped("write", "", 100.0))
    assert lines_of(happened)[1:] == ["write   skipped"]


def test_a_result_of_an_earlier_run_is_told_with_its_source():
    """It took no time here, so none is told; the word is shown as text."""
    happened = (*COMPLETED[:1], actions.phase_complete("parse", 1, 100.0, "the \x1b[1mcache\n"))
    assert lines_of(happened)[1:] == ["parse   completed from the cache"]


def test_items_that_fail_are_told():
    """How many there are, a line for each that fails or is skipped, and all of them at the end."""
    moves = (
        (0, "completed", ""),
        (1, "skipped", "no\nroom"),
        (2, "failed", "bad"),
        (3, "running", ""),
    )
    ended = actions.phase_failed("render", "item 2: bad", 101.0)
    assert lines_of((*mapped(4, *moves), ended), pipeline=PAGES) == [
        "pages started (2 phases)",
        "list    completed from cache",
        "render  started",
        "render  4 items",
        "render  item 1 skipped: no room",
        "render  item 2 failed: bad",
        "render  failed: item 2: bad (2 of 4 items done, 1 skipped, 1 failed)",
    ]


def test_ten_thousand_failing_items_are_a_few_lines():
    """The first ones are told, then that there are more; the last line counts them."""
    moves = [(n, "skipped", "no") for n in range(10_000)]
    happened = (*mapped(10_000, *moves), actions.phase_complete("render", [], 101.0))
    *_, last, more, ended = lines_of(happened, pipeline=PAGES)
    assert len(lines_of(happened, pipeline=PAGES)) == 4 + 20 + 2
    assert last == "render  item 19 skipped: no"
    assert more == "render  and more items, counted at the end"
    assert ended == "render  completed in 1.00 s (10000 items, 10000 skipped)"


def test_cancelled_items_are_not_told():
    """That is not their own trouble."""
    happened = mapped(2, (0, "completed", ""), (1, "failed", "cancelled"))
    ended = actions.phase_failed("render", "cancelled", 101.0)
    assert lines_of((*happened, ended), pipeline=PAGES)[4:] == [
        "render  failed: cancelled (1 of 2 items done)"
    ]
