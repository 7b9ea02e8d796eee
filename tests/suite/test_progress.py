"""The picture the live display shows."""

import io

from rich.console import Console
from suite_stories import COMPLETED, FAILED, PAGES, SITE, last_state, mapped, phase

from milo._cli.progress import most_interesting, progress_picture
from milo_pipeline import Pipeline, actions
from milo_tui.symbols import ASCII, UNICODE

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


def test_a_result_of_an_earlier_run_shows_its_source():
    """Instead of a time."""
    assert drawn(last_state(PAGES, *mapped(1)))[0] == "✓ list   from cache"


def test_items_that_run_or_failed_have_rows():
    """Failed ones first, below their phase, which says how many of all are done."""
    moves = [(n, "completed", "") for n in range(3)]
    moves += [
        (3, "running", ""),
        (4, "skipped", "no"),
        (5, "retrying", "busy"),
        (6, "failed", "bad"),
    ]
    lines = drawn(last_state(PAGES, *mapped(40, *moves)))
    assert lines[1:5] == [
        "● render 1.25 s, 4/40",
        "  ✗ [6]  failed 0.00 s   bad",
        "  ● [3]  0.75 s",
        "  ↻ [5]  retrying 0.75 s busy",
    ]
    assert len(lines) == 6


def test_many_items_are_a_few_rows():
    """And how many more there are; of a completed phase there are none."""
    happened = mapped(10_000, *((n, "running", "") for n in range(9_000)))
    lines = drawn(last_state(PAGES, *happened))
    assert [line.split()[:2] for line in lines[2:6]] == [["●", f"[{n}]"] for n in range(4)]
    assert lines[6] == "  … and 8996 more"
    assert len(lines) == 8
    ended = (*mapped(1, (0, "completed", "")), actions.phase_complete("render", [], 101.0))
    assert drawn(last_state(PAGES, *ended))[1] == "✓ render 1.00 s, 1/1"


def test_items_leave_room_for_phases():
    """On a small screen they take a third of it at most."""
    wide = Pipeline(
        "wide", phase("list"), *(phase(f"p{i}", "list", map_over="list") for i in range(30))
    )
    happened = [actions.pipeline_start(0.0)]
    for i in range(30):
        happened += [actions.phase_start(f"p{i}", 1, 0.0), actions.phase_mapped(f"p{i}", 9, 0.0)]
        happened += [actions.phase_item(f"p{i}", n, "running", 0.0) for n in range(9)]
    lines = drawn(last_state(wide, *happened), height=20)
    assert len(lines) <= 20
    assert sum(line.startswith(" ") for line in lines) == 5
    assert sum(line.startswith("●") for line in lines) == 12


def test_a_cancelled_item_has_no_row():
    """Its phase was stopped, it did not fail."""
    happened = mapped(2, (0, "failed", "cancelled"))
    assert len(drawn(last_state(PAGES, *happened))) == 3


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
