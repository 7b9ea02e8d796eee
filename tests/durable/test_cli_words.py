"""What the command line says of a saga: rows, words, and lines that a terminal may show."""

import logging
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from saga_tools import START, Plain, Step, chain

from milo_durable import Branch, SagaSnapshot, SagaStatus, SagaSummary
from milo_durable.cli import output
from milo_durable.cli.output import log_to_stderr, table
from milo_durable.cli.showing import shown
from milo_durable.cli.timeline import history_errors, history_rows, steps_of
from milo_durable.cli.words import told, waits_for

ID = UUID("3f2a9c1e-0000-4000-8000-000000000000")


def saga(status=SagaStatus.RUNNING, *history, **fields):
    """A saga in this status, with entries (phase, status, step) a minute apart."""
    entries = [
        {
            "timestamp": (START + timedelta(minutes=number)).isoformat(),
            "phase": phase,
            "status": outcome.removesuffix("+skipped"),
            "step_id": step_id,
            "step_name": "Step",
            "attempt": 1,
            "error": "Oh:\n no" if outcome == "ERROR" else None,
            "skipped": outcome.endswith("+skipped"),
        }
        for number, (phase, outcome, step_id) in enumerate(history, 1)
    ]
    whole = SagaSnapshot(
        id=ID,
        saga_name="order",
        definition_version=1,
        aggregation_id="o-1",
        status=status,
        current_step_index=0,
        step_execution_token=ID,
        context={},
        step_history=tuple(entries),
        deadline_at=None,
        retry_count=0,
        awaiting=None,
        error=None,
        created_at=START,
        updated_at=START,
    )
    return replace(whole, **fields)


STATES = [
    (SagaStatus.SUSPENDED, [], "pending"),
    (SagaStatus.RUNNING, [], "running"),
    (SagaStatus.RUNNING, [("execute", "ERROR", "step_0")], "running"),
    (SagaStatus.SUSPENDED, [("execute", "ERROR", "step_0")], "failed"),
    (SagaStatus.SUSPENDED, [("execute", "TIMEOUT", "step_0")], "timed out"),
    (SagaStatus.SUSPENDED, [("execute", "WAITING", "step_0")], "waiting"),
    (SagaStatus.COMPLETED, [("execute", "SUCCESS", "step_0")], "completed"),
    (SagaStatus.COMPLETED, [("execute", "SUCCESS+skipped", "step_0")], "skipped"),
    (SagaStatus.COMPENSATING, [("execute", "SUCCESS", "step_0")], "being undone"),
    (SagaStatus.COMPENSATED, [("compensate", "SUCCESS", "step_0")], "undone"),
    (SagaStatus.FAILED, [("compensate", "ERROR", "step_0")], "not undone"),
    (SagaStatus.FAILED, [("compensate", "TIMEOUT", "step_0")], "not undone"),
    (SagaStatus.FAILED, [("execute", "NEW", "step_0")], "NEW"),
]


@pytest.mark.parametrize(("status", "history", "state"), STATES)
def test_the_state_of_a_step(status, history, state):
    """What a worker does with it now, else what its last attempt made of it."""
    first, second = steps_of(saga(status, *history), chain(Step("a", []), Plain()))
    assert (first.state, first.attempts) == (state, len(history))
    assert (second.step_name, second.state, second.attempts) == ("Plain", "pending", 0)


def test_every_step_that_runs_beside_others_is_running():
    """Also where the row has another as its current one; the others are as their history says."""
    branches = {
        "step_0": Branch(SagaStatus.SUSPENDED, ID),
        "step_1": Branch(SagaStatus.RUNNING, ID),
        "step_2": Branch(SagaStatus.RUNNING, ID),
    }
    history = [("execute", "WAITING", "step_0"), ("execute", "ERROR", "step_1")]
    whole = saga(SagaStatus.RUNNING, *history, branches=branches)
    definition = chain(Plain(), Plain(), Plain(), Plain())
    states = [each.state for each in steps_of(whole, definition)]
    assert states == ["waiting", "running", "running", "pending"]


def test_a_step_in_flight_says_who_has_it():
    """And how many workers have died at it."""
    branch = Branch(SagaStatus.RUNNING, ID, deadline_at=START, crash_count=2)
    whole = saga(SagaStatus.RUNNING, branches={"a\n": branch}, deadline_at=START)
    lines = shown(whole, [])
    assert lines[lines.index("step a") :][:4] == [
        "step a",
        "  status       RUNNING",
        "  held until   2030-01-01 00:00:00 UTC",
        "  crashes      2 in a row",
    ]
    assert sum("held until" in line for line in lines) == 1


def test_steps_that_a_definition_no_longer_has_stay_in_sight():
    """They stand after the others; without a definition the history has all there is."""
    whole = saga(SagaStatus.FAILED, ("execute", "ERROR", "gone"))
    assert [each.step_id for each in steps_of(whole, chain(Plain()))] == ["step_0", "gone"]
    assert [each.step_id for each in steps_of(whole, None)] == ["gone"]


def test_the_history_begins_with_the_start():
    """Each attempt with the time since; each error on one line."""
    whole = saga(SagaStatus.FAILED, ("execute", "ERROR", "a"), ("execute", "SUCCESS+skipped", "a"))
    assert history_rows(whole) == [
        ("2030-01-01 00:00:00", "+0.00 s", "", "start", "", ""),
        ("2030-01-01 00:01:00", "+1 min 0 s", "a", "execute", "1", "ERROR"),
        ("2030-01-01 00:02:00", "+2 min 0 s", "a", "execute", "1", "SKIPPED"),
    ]
    assert history_errors(whole) == ["", "Oh: no", ""]


ANY = {"event_types": None, "correlation_id": None}
WAITS = [
    (SagaStatus.SUSPENDED, {"awaiting": ANY}, "waits for an event"),
    (
        SagaStatus.SUSPENDED,
        {"awaiting": {"event_types": ["a", "b\n"], "correlation_id": "c"}, "deadline_at": START},
        "waits for the event a or b of c until 2030-01-01 00:00:00 UTC",
    ),
    (
        SagaStatus.COMPENSATING_SUSPENDED,
        {"deadline_at": START},
        "waits for its next attempt at 2030-01-01 00:00:00 UTC",
    ),
    (SagaStatus.SUSPENDED, {}, "waits"),
    (SagaStatus.RUNNING, {"deadline_at": START}, ""),
    (SagaStatus.FAILED, {}, ""),
]


@pytest.mark.parametrize(("status", "fields", "words"), WAITS)
def test_what_a_saga_waits_for(status, fields, words):
    """An event, or its next attempt, and until when."""
    assert waits_for(SagaSummary.of(saga(status, **fields))) == words


def test_a_saga_in_one_sentence():
    """What it waits for, then what went wrong."""
    whole = saga(SagaStatus.SUSPENDED, deadline_at=START, error="Oh: no")
    assert told(SagaSummary.of(whole)) == (
        f"saga {ID} is SUSPENDED: waits for its next attempt at 2030-01-01 00:00:00 UTC; Oh: no"
    )
    assert told(SagaSummary.of(saga())) == f"saga {ID} is RUNNING"


def test_each_step_in_flight_has_its_own_reason():
    """A deadline is told of the step that has it; an error that several have is told once."""
    paid = {"event_types": ["paid"], "correlation_id": None}
    branches = {
        "pay": Branch(SagaStatus.SUSPENDED, ID, awaiting=paid),
        "label": Branch(SagaStatus.SUSPENDED, ID, deadline_at=START, error="no\nprinter"),
        "pack": Branch(SagaStatus.FAILED, ID, error="no printer"),
    }
    row = {"awaiting": paid, "deadline_at": START, "error": "no printer"}
    whole = saga(SagaStatus.SUSPENDED, branches=branches, **row)
    assert told(SagaSummary.of(whole)) == (
        f"saga {ID} is SUSPENDED: label waits for its next attempt at 2030-01-01 00:00:00 UTC, "
        "pay waits for the event paid; no printer"
    )


def test_moments_are_told_in_utc():
    """Whatever zone they come in."""
    local = datetime(2030, 1, 1, 7, tzinfo=timezone(timedelta(hours=5)))
    words = waits_for(SagaSummary.of(saga(SagaStatus.SUSPENDED, deadline_at=local)))
    assert words.endswith("2030-01-01 02:00:00 UTC")


def test_a_table_away_from_a_terminal_is_as_wide_as_it_is():
    """Characters of double width count as two; no line ends with spaces."""
    assert table([("日本", "x" * 300), ("a", "")], ("ONE", "TWO")) == [
        "ONE   TWO",
        f"日本  {'x' * 300}",
        "a",
    ]


def test_a_table_on_a_narrow_terminal_keeps_all_but_its_last_column(monkeypatch):
    """And of that at least a part."""
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    (_, row) = table([("i" * 36, "x" * 300)], ("ID", "WHY"))
    assert row == f"{'i' * 36}  {'x' * 15}…"


def test_what_is_logged_is_safe_to_show(capsys, monkeypatch):
    """Line by line, tracebacks included; a root logger that has a handler is left alone."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    try:
        log_to_stderr(logging.INFO)
        handlers = list(root.handlers)
        log_to_stderr(logging.DEBUG)
        assert (root.handlers, root.level) == (handlers, logging.INFO)
        try:
            raise ValueError("\x1b[2Jcleared\x07")
        except ValueError:
            logging.getLogger("shop").exception("it is \x1b[31mred")
    finally:
        root.setLevel(level)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" ERROR shop: it is red")
    assert lines[-1] == "ValueError: cleared"
    assert all(line.isprintable() for line in lines)


def test_the_package_goes_without_its_command_line():
    """No name of ``milo_durable`` imports click or rich."""
    code = "import sys; from milo_durable import *; print({'click', 'rich'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "set()\n"
