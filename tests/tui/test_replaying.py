"""A recorded run at any of its moments is a state that the run may have been in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_core import Action, Key, SpecialKey
from milo_pipeline import Phase, PhasePolicy, Pipeline
from milo_pipeline.exports import SpanRecorder, read_timeline, write_timeline
from milo_tui.replaying import Recorded, ReplayApp, ReplayState
from milo_tui.testing import running

RANK = {"pending": 0, "running": 1, "retrying": 1, "completed": 2, "failed": 2, "skipped": 2}
TRIES = []


def flaky():
    TRIES.append(1)
    print(f"try {len(TRIES)}")
    if len(TRIES) % 3:
        raise OSError("busy")


def pipeline():
    retrying = PhasePolicy(on_fail="retry", max_retries=4, retry_delay=0.001)
    return Pipeline(
        "site",
        Phase("first", lambda: print("one\ntwo")),
        Phase("flaky", flaky, depends_on=("first",), policy=retrying, weight=2),
        Phase("skips", lambda: 1 / 0, policy=PhasePolicy(on_fail="skip"), parallel=True),
        Phase("fails", lambda: 1 / 0, depends_on=("flaky", "skips")),
        Phase("never", print, depends_on=("fails",)),
        capture_output=True,
    )


@pytest.fixture(scope="module")
def timeline(tmp_path_factory):
    """What a run has left behind, that failed in the end."""
    spans, built = SpanRecorder(), pipeline()
    result = built.run(on_event=spans.on_event)
    path = tmp_path_factory.mktemp("run") / "run.json"
    write_timeline(path, built, result.state, spans.spans(), {})
    return read_timeline(path)


def statuses(state):
    return {phase.name: phase.status for phase in state.phases}


def test_it_begins_with_nothing_and_ends_as_it_did(timeline):
    """The last moment is the state that was written."""
    recorded = Recorded(timeline)
    assert recorded.moments[0] == 0
    assert recorded.at(recorded.end) == timeline.state
    assert set(statuses(recorded.at(-1.0)).values()) == {"pending"}


def test_every_moment_is_like_a_run(timeline):
    """A phase never goes back, its lines only become more, and progress does not shrink."""
    recorded = Recorded(timeline)
    before = recorded.at(recorded.moments[0])
    seen = set()
    for moment in recorded.moments:
        state = recorded.at(moment)
        for earlier, later in zip(before.phases, state.phases, strict=True):
            assert RANK[earlier.status] <= RANK[later.status]
            assert later.logs[: len(earlier.logs)] == earlier.logs
            assert earlier.attempt <= later.attempt
            seen.add((later.name, later.status, later.attempt))
        assert before.progress <= state.progress
        before = state
    assert {("flaky", "running", 1), ("flaky", "retrying", 1), ("flaky", "completed", 3)} <= seen
    assert ("skips", "skipped", 1) in seen and ("fails", "failed", 1) in seen
    assert all(status == "pending" for name, status, _ in seen if name == "never")


def test_a_phase_runs_after_those_that_it_waits_for(timeline):
    """At no moment has one begun whose dependencies have not ended."""
    recorded = Recorded(timeline)
    for moment in recorded.moments:
        found = statuses(recorded.at(moment))
        for phase in timeline.pipeline.phases:
            if RANK[found[phase.name]]:
                assert all(RANK[found[name]] == 2 for name in phase.depends_on)


KEYS = [Key(name=SpecialKey[name]) for name in ("LEFT", "RIGHT", "UP", "DOWN", "ENTER")]


@given(st.lists(st.sampled_from([*KEYS, Key(char=" "), Key(char="/"), Key(char="?"), None])))
def test_keys_go_from_moment_to_moment(timeline, pressed):
    """Whatever is pressed, the time is within the run, and the state is the one at that time."""
    app = ReplayApp(timeline)
    state, recorded = app._initial_state, Recorded(timeline)
    for key in pressed:
        action = Action("@@TICK") if key is None else Action("@@KEY", key)
        state = app._reducer(state, action)
        assert isinstance(state, ReplayState)
        assert 0 <= state.time <= recorded.end
        assert state.view.pipeline == recorded.at(state.time)


def test_it_is_stepped_and_played(timeline):
    """The slider tells the time, and playing ends with the run."""
    with running(ReplayApp(timeline), 80, 12) as screen:
        screen.wait_for("✗ fails")
        screen.press(*["left"] * len(Recorded(timeline).moments))
        screen.wait_for("0.00 s of")
        screen.press("space")
        screen.wait_for("✗ fails")
        screen.press("enter")
        screen.wait_for("two")
        screen.press("q")
    assert screen.result.is_playing is False
