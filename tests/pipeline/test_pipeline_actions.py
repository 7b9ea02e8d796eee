"""The actions of a run: published types and payloads, and a time on every one."""

import pytest

from milo_core import Action
from milo_pipeline import actions


@pytest.mark.parametrize(
    ("made", "action_type", "payload"),
    [
        (actions.pipeline_start(1.5), "@@PIPELINE_START", 1.5),
        (
            actions.phase_start("a", 2, 1.5),
            "@@PHASE_START",
            {"name": "a", "attempt": 2, "at": 1.5},
        ),
        (
            actions.phase_complete("a", [1], 1.5),
            "@@PHASE_COMPLETE",
            {"name": "a", "result": [1], "at": 1.5},
        ),
        (
            actions.phase_failed("a", "no", 1.5),
            "@@PHASE_FAILED",
            {"name": "a", "error": "no", "at": 1.5},
        ),
        (
            actions.phase_skipped("a", "no", 1.5),
            "@@PHASE_SKIPPED",
            {"name": "a", "error": "no", "at": 1.5},
        ),
        (
            actions.phase_retry("a", 1, "no", 3, 1.5),
            "@@PHASE_RETRY",
            {"name": "a", "attempt": 1, "error": "no", "max_retries": 3, "at": 1.5},
        ),
        (
            actions.phase_log("a", "text", "stderr", 1.5),
            "@@PHASE_LOG",
            {"name": "a", "line": "text", "stream": "stderr", "timestamp": 1.5},
        ),
        (actions.pipeline_complete(1.5), "@@PIPELINE_COMPLETE", {"at": 1.5}),
        (actions.pipeline_cancelled(1.5), "@@PIPELINE_CANCELLED", {"at": 1.5}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_published_types_and_payloads(made, action_type, payload):
    """Each maker gives the published type and payload, with the time it was given."""
    assert made == Action(action_type, payload)
