"""The closing words about a run, and its exit code."""

from suite_stories import COMPLETED, FAILED, SITE, last_state, phase

from milo._cli.outcome import Outcome, closing_lines
from milo_pipeline import Pipeline, actions
from milo_pipeline.persistence import CacheError

FAN = Pipeline("fan", *(phase(f"p{i}") for i in range(12)), keep_going=True)


def test_completed():
    """Duration and number of phases, how many were skipped, and why."""
    outcome = Outcome(last_state(SITE, *COMPLETED))
    assert closing_lines(outcome) == [
        "site completed in 2.25 s (3 phases, 1 skipped)",
        "skipped: health: a.md: no such heading",
    ]
    assert outcome.exit_code == 0


def test_results_of_earlier_runs_are_counted():
    """By the source that each supplier has given."""
    happened = [actions.pipeline_start(0.0)]
    sources = ["cache", "a\nfriend", "cache", *[""] * 9]
    happened += [actions.phase_complete(f"p{i}", 1, 0.5, each) for i, each in enumerate(sources)]
    (line,) = closing_lines(Outcome(last_state(FAN, *happened, actions.pipeline_complete(0.5))))
    assert line == "fan completed in 0.50 s (12 phases, 2 from cache, 1 from a friend)"


def test_many_skipped_phases_are_a_list():
    """One line each, up to a limit, and how many more there are."""
    happened = [actions.pipeline_start(0.0)]
    happened += [actions.phase_skipped(f"p{i}", f"error {i}", 0.5) for i in range(12)]
    lines = closing_lines(Outcome(last_state(FAN, *happened, actions.pipeline_complete(0.5))))
    assert lines[1:3] == ["skipped:", "  p0: error 0"]
    assert lines[-2:] == ["  p7: error 7", "  and 4 more"]


def test_the_last_phase_has_the_last_word():
    """The last line it printed to stdout is repeated, without control characters."""
    one = Pipeline("one", phase("only"))
    happened = [
        actions.pipeline_start(0.0),
        actions.phase_start("only", 1, 0.0),
        actions.phase_log("only", "site: \x1b[1m/x/index.html", "stdout", 0.1),
        actions.phase_log("only", "", "stdout", 0.1),
        actions.phase_log("only", "a warning", "stderr", 0.2),
    ]
    ended = [actions.phase_complete("only", None, 0.5), actions.pipeline_complete(0.5)]
    completed = Outcome(last_state(one, *happened, *ended), last_phase="only")
    assert closing_lines(completed) == ["one completed in 0.50 s (1 phase)", "site: /x/index.html"]
    failed = last_state(one, *happened, actions.phase_failed("only", "no", 0.5))
    assert closing_lines(Outcome(failed, last_phase="only")) == ["one failed in 0.50 s: only: no"]


def test_the_type_of_the_error_is_shown_where_it_is_known():
    """``KeyError('x')`` prints as ``'x'``: the type is what makes it understandable."""
    outcome = Outcome(last_state(SITE, *FAILED), errors={"write": OSError("disk full")})
    assert closing_lines(outcome) == ["site failed in 1.00 s: write: OSError: disk full"]
    assert outcome.exit_code == 1


def test_a_cache_that_cannot_be_trusted_is_bad_input():
    """Exit code 2, whatever else failed; an interruption is told as one."""
    state = last_state(SITE, *FAILED)
    errors = {"parse": OSError("no"), "write": CacheError("the cache entry 'x' is damaged")}
    outcome = Outcome(state, errors)
    assert outcome.exit_code == 2
    assert closing_lines(outcome) == ["site failed in 1.00 s: write: CacheError: disk full"]
    assert Outcome(state, errors, interrupted=130).exit_code == 130
    assert Outcome(last_state(SITE, *COMPLETED), errors).exit_code == 0


def test_an_error_without_message():
    """Its type stands for it."""
    happened = (*FAILED[:-1], actions.phase_failed("write", "", 101.0))
    state = last_state(SITE, *happened)
    errors = {"write": AssertionError()}
    assert closing_lines(Outcome(state, errors)) == ["site failed in 1.00 s: write: AssertionError"]
    assert closing_lines(Outcome(state)) == ["site failed in 1.00 s: write: no reason given"]


def test_many_failures_are_listed():
    """All of them are counted, the first few are shown."""
    names = [p.name for p in FAN.phases]
    happened = [actions.pipeline_start(0.0)]
    happened += [actions.phase_start(name, 1, 0.0) for name in names]
    happened += [actions.phase_failed(name, f"no {name}", 1.0) for name in names]
    first, *listed, more = closing_lines(Outcome(last_state(FAN, *happened)))
    assert first == "fan failed in 1.00 s: 12 phases failed"
    assert listed == [f"  p{i}: no p{i}" for i in range(8)]
    assert more == "  and 4 more"


def test_many_blocked_phases_are_listed():
    """The first few phases that never began are shown with what was in their way."""
    blocked = {f"q{i}": ("write", "parse") for i in range(10)}
    *_, line = closing_lines(Outcome(last_state(SITE, *FAILED), blocked=blocked))
    assert line.startswith("never began: q0 (blocked by write, parse), q1 (")
    assert line.endswith(" and 2 more")


def test_interrupted_before_anything_ran():
    """There is no state to tell of."""
    outcome = Outcome(None, interrupted=143)
    assert closing_lines(outcome) == ["interrupted before anything ran"]
    assert outcome.exit_code == 143
