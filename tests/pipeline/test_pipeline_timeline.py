"""A run as plain data, and the state a process has published."""

import json
import threading

import pytest

from milo_pipeline import (
    PhaseLog,
    PhaseStatus,
    PipelineState,
    get_active_pipeline,
    pipeline_to_timeline,
    set_active_pipeline,
)


@pytest.fixture(autouse=True)
def _nothing_published():
    set_active_pipeline(None)
    yield
    set_active_pipeline(None)


def test_timeline_of_a_failed_run():
    """Every key of the schema, numbers to three places, no error as null."""
    state = PipelineState(
        "build",
        (
            PhaseStatus("a", "completed", 1.0, 0.123456, "", 1, (PhaseLog("x"), PhaseLog("y"))),
            PhaseStatus("b", "failed", 2.0, 0.5, "no disk", 3),
            PhaseStatus("c"),
        ),
        elapsed=1.23456,
        progress=1 / 3,
        status="failed",
    )
    timeline = pipeline_to_timeline(state)
    assert timeline == {
        "pipeline": "build",
        "status": "failed",
        "elapsed": 1.235,
        "progress": 0.333,
        "phases": [
            {"name": "a", "status": "completed", "elapsed": 0.123, "attempt": 1, "error": None,
             "log_count": 2},
            {"name": "b", "status": "failed", "elapsed": 0.5, "attempt": 3, "error": "no disk",
             "log_count": 0},
            {"name": "c", "status": "pending", "elapsed": 0.0, "attempt": 0, "error": None,
             "log_count": 0},
        ],
    }  # fmt: skip
    assert json.loads(json.dumps(timeline)) == timeline


def test_what_one_thread_publishes_all_see():
    """The published state is the process's, not the thread's."""
    state = PipelineState("build")
    thread = threading.Thread(target=set_active_pipeline, args=(state,))
    thread.start()
    thread.join()
    assert get_active_pipeline() is state
    set_active_pipeline(None)
    assert get_active_pipeline() is None
