"""The picture the live display shows."""

import io

from rich.console import Console
from suite_stories import COMPLETED, FAILED, SITE, last_state, phase

from milo._cli.progress import most_interesting, progress_picture
from milo._cli.symbols import ASCII, UNICODE
from milo_pipeline import Pipeline, actions

WIDE = Pipeline("wide", *(phase(f"p{i:02}", parallel=True) for i in range(40)))


def drawn(state, *, now=101.25, height=20, width=60, symbols=UNICODE, note=""):
    stream = io.StringIO()
    console = Console(file=stream, width=width, height=height, markup=False)
    console.print(progress_picture(state, now, height, symbols, note))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_run_under_way():
    """Done phases show how long they took, running ones their attempt and time so far."""
    done, retrying, pending, overall = drawn(last_state(SITE, *COMPLETED[:7]))
    assert done == "✓ parse  0.50 s"
    assert retrying == "↻ write  retrying 0.75 s disk busy"
    assert pending == "○ health"
    assert overall.startswith("site ━━")
    assert overall.endswith("33% 1.25 s")


def test_the_last_line_of_a_running_phase():
    """It stands beside the phase until it ends."""
    first, *_ = drawn(last_state(SITE, *COMPLETED[:3]), now=100.4)
    assert first == "● parse  0.40 s 3 pages"


def test_attempts_are_counted():
    """From the second attempt on, its number is shown."""
    _, write, *_ = drawn(last_state(SITE, *COMPLETED[:8]), now=101.75)
    assert write == "● write  1.25 s, attempt 2"


def test_a_failure_shows_its_error():
    """The error stands where the last line stood."""
    _, write, *_ = drawn(last_state(SITE, *FAILED))
    assert write == "✗ write  failed 0.50 s disk full"


def test_nothing_in_the_data_is_markup_or_control():
    """Square brackets stay, escape sequences go, and a long line ends in an ellipsis."""
    line = "[bold red]x[/] [/nonsense] :smile: \x1b[2J" + "y" * 100
    happened = (*COMPLETED[:2], actions.phase_log("parse", line, "stdout", 100.1))
    first, *_ = drawn(last_state(SITE, *happened), now=100.4)
    assert first.startswith("● parse  0.40 s [bold red]x[/] [/nonsense] :smile: yyy")
    assert first.endswith("…")
    assert len(first) <= 60


def test_ascii_output():
    """Where the encoding has no signs, letters and dots stand for them."""
    assert drawn(last_state(SITE, *COMPLETED[:7]), symbols=ASCII)[1].startswith("~ write")


def test_a_note_stands_below():
    """What the user has to know comes last."""
    assert drawn(last_state(SITE, *COMPLETED[:3]), note="winding down")[-1] == "winding down"


def test_a_large_pipeline_fits_the_screen():
    """Running and failed phases are shown, their neighbours fill up, the rest is counted."""
    happened = [actions.pipeline_start(100.0)]
    happened += [actions.phase_start(f"p{i:02}", 1, 100.0) for i in range(30)]
    happened += [actions.phase_complete(f"p{i:02}", None, 101.0) for i in range(28) if i != 3]
    happened += [actions.phase_failed("p03", "no", 101.0)]
    lines = drawn(last_state(WIDE, *happened), height=10, note="winding down")
    assert len(lines) <= 10
    shown = [line.split()[1] for line in lines if line[0] in "●✗✓○"]
    assert {"p03", "p28", "p29"} <= set(shown)
    assert shown == sorted(shown)
    assert any(line.startswith("… and ") and "completed" in line for line in lines)


def test_all_phases_are_chosen_if_they_fit():
    """Nothing is left out without need."""
    phases = last_state(SITE, *COMPLETED[:1]).phases
    assert most_interesting(phases, 3) == list(phases)
    assert len(most_interesting(phases, 2)) == 1
