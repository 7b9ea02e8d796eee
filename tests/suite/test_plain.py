"""The plain display: which line each event becomes."""

import io

from suite_stories import CANCELLED, COMPLETED, FAILED, SITE, UNRELATED, last_state, told

from milo._cli.outcome import Outcome
from milo._cli.plain import PlainDisplay
from milo._cli.streams import LineWriter
from milo_pipeline import actions


def lines_of(happened, outcome=None):
    stream = io.StringIO()
    display = PlainDisplay(LineWriter(stream))
    with display.showing():
        for action, state in told(SITE, *happened):
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
