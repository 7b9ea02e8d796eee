"""The JSON display: one object a line, with the keys the README documents."""

import io
import json
import re
from pathlib import Path

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

from milo._cli.events import KINDS
from milo._cli.json_lines import KEYS, JsonDisplay
from milo._cli.outcome import Outcome
from milo._cli.streams import LineWriter
from milo_pipeline import actions, pipeline_to_timeline

README = Path(__file__).parents[2] / "packages/milo-suite/README.md"


def objects_of(happened, outcome=None, pipeline=SITE):
    stream = io.StringIO()
    display = JsonDisplay(LineWriter(stream))
    with display.showing():
        for action, state in told(pipeline, *happened):
            display.on_event(action, state)
    if outcome is not None:
        display.close(outcome)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_run_is_told_object_by_object():
    """Times are seconds since the start; captured lines keep their control characters."""
    skipped = "a.md: no such\nheading"
    assert objects_of((*COMPLETED, UNRELATED)) == [
        {
            "event": "pipeline_started",
            "at": 0.0,
            "pipeline": "site",
            "phases": ["parse", "write", "health"],
        },
        {"event": "phase_started", "at": 0.0, "phase": "parse", "attempt": 1},
        log(0.1, "stdout", "3 pages"),
        log(0.2, "stderr", "\x1b[31mold\x1b[0m syntax"),
        completed(0.5, "parse", 1, 0.5),
        {"event": "phase_started", "at": 0.5, "phase": "write", "attempt": 1},
        {
            "event": "phase_retrying",
            "at": 1.0,
            "phase": "write",
            "attempt": 1,
            "max_retries": 2,
            "error": "disk busy",
        },
        {"event": "phase_started", "at": 1.5, "phase": "write", "attempt": 2},
        completed(2.0, "write", 2, 1.5),
        {"event": "phase_started", "at": 2.0, "phase": "health", "attempt": 1},
        {
            "event": "phase_skipped",
            "at": 2.25,
            "phase": "health",
            "attempt": 1,
            "elapsed": 0.25,
            "error": skipped,
        },
        {"event": "pipeline_completed", "at": 2.25, "pipeline": "site"},
    ]


def completed(at, name, attempt, elapsed, source=""):
    facts = {"phase": name, "attempt": attempt, "elapsed": elapsed, "source": source}
    return {"event": "phase_completed", "at": at, **facts}


def log(at, stream, line):
    return {"event": "phase_log", "at": at, "phase": "parse", "stream": stream, "line": line}


def test_items_are_told():
    """How many a phase has, and every move of each with its own attempt; and a source."""
    moves = (0, "running", ""), (0, "retrying", "busy"), (0, "completed", "")
    _, cached, _, how_many, *items = objects_of(mapped(2, *moves), pipeline=PAGES)
    assert cached == completed(0.0, "list", 1, 0.0, "cache")
    assert how_many == {"event": "phase_mapped", "at": 0.0, "phase": "render", "count": 2}
    of_item = {"event": "phase_item", "at": 0.5, "phase": "render", "item": 0, "attempt": 1}
    assert items == [{**of_item, "status": status, "error": error} for _, status, error in moves]


def test_an_item_counts_its_own_attempts():
    """What is told of one without a number has the number of its latest attempt."""
    again = (
        actions.phase_item("render", 1, "running", 101.0, attempt=2),
        actions.phase_item("render", 1, "completed", 102.0),
        actions.phase_item("render", 0, "completed", 102.0),
    )
    happened = (*mapped(2, (0, "running", ""), (1, "running", "")), *again)
    items = objects_of(happened, pipeline=PAGES)[-3:]
    assert [item["attempt"] for item in items] == [2, 2, 1]


def test_the_result_comes_last():
    """It holds the exit code, the final timeline, and what never began."""
    state = last_state(SITE, *FAILED)
    *_, failed, result = objects_of(FAILED, Outcome(state, blocked={"health": ("write",)}))
    assert failed["event"] == "phase_failed"
    assert result == {
        "event": "result",
        "at": 1.0,
        "exit_code": 1,
        "timeline": pipeline_to_timeline(state),
        "blocked": {"health": ["write"]},
    }


def test_an_interrupted_run_has_a_result():
    """Its exit code says so."""
    outcome = Outcome(last_state(SITE, *CANCELLED), interrupted=130)
    *_, cancelled, result = objects_of(CANCELLED, outcome)
    assert cancelled["event"] == "pipeline_cancelled"
    assert (result["exit_code"], result["timeline"]["status"]) == (130, "failed")


def test_a_run_that_never_began_has_a_result():
    """Without a state there is no timeline."""
    (result,) = objects_of((), Outcome(None, interrupted=130))
    assert (result["timeline"], result["exit_code"]) == (None, 130)


def test_every_kind_has_keys():
    """Whatever the displays can be told, JSON can say."""
    assert set(KEYS) == set(KINDS.values())


def test_the_readme_documents_the_keys():
    """The table in the README names every event with exactly its keys."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {kind: tuple(re.findall(r"`(\w+)`", keys)) for kind, keys in rows}
    started = {"pipeline_started": (*KEYS["pipeline_started"], "phases")}
    result = {"result": ("exit_code", "timeline", "blocked")}
    between_runs = {"watching": ("exit_code", "count"), "files_changed": ("files",)}
    assert documented == {**KEYS, **started, **result, **between_runs}
