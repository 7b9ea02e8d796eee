"""Every commit has a crash point before and after it, and the scenarios reach all of them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager

import pytest
from crash_scenarios import SCENARIOS, Journal, create_tables, played
from sqlalchemy import Engine, event

from milo_durable import _crash


@contextmanager
def traced():
    """For each task, the points that it reached and what it committed, in order."""
    traces = defaultdict(list)

    def note(kind, what):
        traces[asyncio.current_task()].append((kind, what))

    def on_statement(connection, cursor, sql, parameters, context, executemany):
        is_alone = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if is_alone and (context.isinsert or context.isupdate or context.isdelete):
            note("commit", sql)

    def on_commit(connection):
        note("commit", "COMMIT")

    listeners = {"after_cursor_execute": on_statement, "commit": on_commit}
    for name, listener in listeners.items():
        event.listen(Engine, name, listener)
    try:
        with _crash.hooked(lambda point: note("point", point)):
            yield traces
    finally:
        for name, listener in listeners.items():
            event.remove(Engine, name, listener)


def unnamed(trace):
    """The commits in ``trace`` that have not their own points right before and after them."""
    framed = [("point", ""), *trace, ("point", "")]
    for (before, name), (kind, sql), (after, end) in zip(
        framed, framed[1:], framed[2:], strict=False
    ):
        if kind != "commit":
            continue
        commit, _, side = name.rpartition(".")
        if (before, side, after, end) != ("point", "before", "point", f"{commit}.after"):
            yield sql


def test_every_commit_has_a_point_before_and_after_it(database, tmp_path):
    """Without a crash, the scenarios end as they say and reach every point there is."""
    database.run(create_tables, database)
    reached = set()
    for name, scenario in SCENARIOS.items():
        journal = Journal(tmp_path / name)

        async def play(name=name, journal=journal):
            with traced() as traces:
                bench = await played(database, journal, name)
            return traces, [row.status for row in await bench.rows()], await bench.kept()

        traces, statuses, kept = database.run(play)
        assert [sql for trace in traces.values() for sql in unnamed(trace)] == [], name
        assert (statuses, tuple(journal.lines())) == ([scenario.ends], scenario.journal), name
        assert any(kind == "commit" for trace in traces.values() for kind, _ in trace)
        reached |= {what for trace in traces.values() for kind, what in trace if kind == "point"}
    assert reached == set(_crash.CRASH_POINTS)
    assert kept == [line for scenario in SCENARIOS.values() for line in scenario.kept]


def test_a_commit_without_points_is_found():
    """The rule above has teeth."""
    bare = [("point", "claim.before"), ("commit", "UPDATE"), ("commit", "INSERT")]
    assert list(unnamed(bare)) == ["UPDATE", "INSERT"]
    other = [("point", "claim.before"), ("commit", "UPDATE"), ("point", "start.after")]
    assert list(unnamed(other)) == ["UPDATE"]
    named = [("point", "claim.before"), ("commit", "UPDATE"), ("point", "claim.after")]
    assert list(unnamed(named)) == []


def test_points_tell_nobody_outside_the_block():
    seen = []
    with _crash.hooked(seen.append):
        _crash.before("start")
    _crash.after("start")
    assert seen == ["start.before"]


@pytest.mark.parametrize("wrong", ["start", "start.befor", "start.before:x", "start.before:-1"])
def test_a_name_that_is_no_point_is_refused(wrong):
    with pytest.raises(ValueError, match="names no crash point"):
        _crash.killing(wrong)


def test_the_process_dies_when_a_point_is_reached_for_the_nth_time():
    script = "from milo_durable import _crash\nfor n in range(3): print(n, flush=True)\n"
    script = script.rstrip() + "; _crash.after('claim')\n"
    child = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, _crash.VARIABLE: "claim.after:2"},
        capture_output=True,
        text=True,
    )
    assert (child.returncode, child.stdout.split()) == (-signal.SIGKILL, ["0", "1"])
