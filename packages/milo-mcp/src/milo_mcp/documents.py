"""What a client reads: timelines and pages of logs, as JSON."""

from __future__ import annotations

from typing import Any, Final

from milo_mcp.runs import Run
from milo_mcp.uris import LogsOf, logs_uri
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.state import PipelineState
from milo_pipeline.text import printable
from milo_pipeline.timeline import pipeline_to_timeline

PAGE: Final = 500
"""How many lines of a phase a client is given at once."""

LAST_LINES: Final = 20
"""How many of them an answer to a tool repeats."""


class CursorError(ValueError):
    """A page that is not there."""


def timeline(state: PipelineState | None, run_id: str = "") -> dict[str, Any]:
    """What the seeds say of a timeline, beside the id of its run; without a state, nothing yet."""
    if state is None:
        return {"pipeline": None, "status": "none", "elapsed": 0.0, "progress": 0.0, "phases": []}
    shown = pipeline_to_timeline(state)
    if not run_id:
        return shown
    for phase in shown["phases"]:
        phase["logs"] = logs_uri(run_id, phase["name"])
    return {"run": run_id, **shown}


def log_page(run: Run, phase: PhaseStatus, address: LogsOf) -> dict[str, Any]:
    """A page of a phase's lines.

    Lines that ``max_logs`` did not keep still count, so a cursor stays what it is while lines
    are written: ``first`` may be beyond the cursor that was asked for. ``next_cursor`` is there
    also at the end, for whoever comes back for more.

    Raises:
        CursorError: the phase has not written that many lines.
    """
    dropped, logs = phase.logs_dropped, phase.logs
    written = dropped + len(logs)
    cursor = 0 if address.cursor is None else address.cursor
    if cursor > written:
        raise CursorError(
            f"cursor={cursor} is beyond the {written} lines that phase {phase.name!r} has written"
        )
    first = max(cursor, dropped)
    lines = logs[first - dropped :][:PAGE]
    after = first + len(lines)
    return {
        "run": run.id,
        "phase": phase.name,
        "status": phase.status,
        "first": first,
        "lines": [{"line": printable(each.line), "stream": each.stream} for each in lines],
        "next_cursor": after,
        "more": after < written,
    }


def failures(run: Run) -> list[dict[str, Any]]:
    """What has failed in a run, with its last lines, for clients that read nothing else."""
    return [
        {
            "phase": phase.name,
            "error": printable(phase.error),
            "logs": logs_uri(run.id, phase.name),
            "last_lines": [printable(each.line) for each in phase.logs[-LAST_LINES:]],
        }
        for phase in run.state.phases
        if phase.status == "failed"
    ]
