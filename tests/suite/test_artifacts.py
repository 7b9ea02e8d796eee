"""``milo run --timeline --trace --report``: what a run leaves behind, and its summary."""

import json

import pytest

from milo._cli.outcome import Outcome, closing_lines
from milo_pipeline import PhaseStatus, PipelineState
from milo_pipeline.exports import CriticalStep, read_timeline

SITE = """
    from milo import Phase, Pipeline

    def fail():
        raise ValueError("no <disk>")

    pipeline = Pipeline(
        "site", Phase("a", lambda: print("hello")), Phase("b", fail, depends_on=("a",)),
        capture_output=True,
    )
"""


@pytest.fixture
def site(write):
    """The file above."""
    return write("build.py", SITE)


def test_a_run_leaves_what_it_is_asked_for(site, folder, milo):
    """Also a failed one; the exit code is that of the run."""
    ended = milo("run", site, "--timeline", "t.json", "--trace", "x.json", "--report", "r.html")
    assert ended.code == 1
    timeline = read_timeline(folder / "t.json")
    assert timeline.state.status == "failed"
    assert [span.phase for span in timeline.spans] == ["a", "b"]
    assert "ValueError: no <disk>" in timeline.tracebacks["b"]
    assert json.loads((folder / "x.json").read_text())["traceEvents"]
    page = (folder / "r.html").read_text(encoding="utf-8")
    assert "no &lt;disk&gt;" in page
    assert "hello" in page


@pytest.mark.parametrize("option", ["--timeline", "--trace", "--report"])
def test_a_place_that_cannot_be_written_is_refused_before_the_run(site, milo, option):
    """Exit code 2, and nothing has run."""
    ended = milo("run", site, option, "nowhere/file")
    assert ended.code == 2
    assert "there is no folder" in ended.err
    assert "hello" not in ended.out


def slow_run(count):
    phases = tuple(PhaseStatus(f"p{i}", "completed", 1.0 * i, 1.0, "", 1) for i in range(count))
    return PipelineState("p", phases, "", 0.0, float(count), 1.0, "completed")


def test_the_summary_of_a_long_run_says_where_the_time_went():
    """The chain that decided its end, and the slowest phases."""
    steps = tuple(CriticalStep(f"p{i}", 1.0, 0.0) for i in range(3))
    lines = closing_lines(Outcome(slow_run(3), critical=steps))
    assert lines[1:] == [
        "critical path: p0 1.00 s, p1 1.00 s, p2 1.00 s",
        "slowest: p0 1.00 s, p1 1.00 s, p2 1.00 s",
    ]


def test_a_long_chain_is_shortened():
    """Its beginning and its end are shown."""
    steps = tuple(CriticalStep(f"p{i}", 1.0, 0.0) for i in range(20))
    (line,) = [
        line
        for line in closing_lines(Outcome(slow_run(20), critical=steps))
        if line.startswith("critical")
    ]
    assert "p3 1.00 s, 13 more, p17 1.00 s" in line


def test_a_quick_run_says_nothing_of_it():
    """Nobody asks."""
    state = PipelineState("p", slow_run(3).phases, "", 0.0, 0.5, 1.0, "completed")
    assert len(closing_lines(Outcome(state))) == 1
