"""``replay`` and ``read_recording``: from a recording back to the state, here and elsewhere."""

import json
import logging
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from recorded_types import Colour, Level, Pair, Point, Slotted, append, text_of
from recorded_values import values

from milo_core import (
    Action,
    MiloError,
    Quit,
    ReducerResult,
    ReplayError,
    Store,
    ViewState,
    read_recording,
    replay,
)
from milo_core.actions import INIT
from milo_core.recording import _chain

types = st.text(max_size=4) | st.sampled_from(["@@INIT", "~", "ADD"])
actions = st.lists(st.builds(Action, types, values), max_size=8)


def record(path, *given):
    """A store that appended ``given`` and recorded it at ``path``."""
    store = Store(append, (), record=path)
    for action in given:
        store.dispatch(action)
    return store


@pytest.fixture(scope="module", params=["0", "1", "12345"])
def elsewhere(request):
    """Ask a process with another hash seed for the state and hashes of a recording."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": request.param,
        "PYTHONPATH": str(Path(__file__).parent),
    }
    serve = [sys.executable, "-W", "error", "-c", "import recorded_types; recorded_types.serve()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(serve, env=environment, text=True, **pipes) as process:

        def ask(path):
            print(json.dumps(str(path)), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions)
@example([Action("SETS", {"a", "b", "c", ("d",), frozenset("efg")})])
@example([Action("KEYS", {"a": 1, 1: "a", None: (), (1, ("b",)): {}, Colour.RED: b"", 0.5: "~"})])
@example([Action("NUMBERS", [math.nan, math.inf, -math.inf, -0.0, 1 << 5_000, -(1 << 20_000)])])
@example([Action("TEXTS", ("\ud800", "\ude00\ud83d", "\ud83d\ude00", "\U0001f600", "\x00"))])
@example([Action("DATA", Point({Level.LOW, Colour.GREEN}, Slotted((Pair({b"\x00", "b"}),))))])
@example([Action("ONE", n) for n in range(3)] + [Action("@@INIT", (((),),))])
def test_a_session_replays_the_same_in_another_process(tmp_path, elsewhere, given_actions):
    """Any actions: another process arrives at the same state and the same hashes."""
    path = tmp_path / "session.jsonl"
    store = record(path, *given_actions)
    there = elsewhere(path)
    assert there["state"] == text_of(store.state)
    assert there["hashes"] == [entry["state_hash"] for entry in store.recording]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions)
def test_memory_and_file_replay_the_same(tmp_path, given_actions):
    """From the store, the file or its entries, a session is the same; twice is the same, too."""
    path = tmp_path / "session.jsonl"
    store = record(path, *given_actions)
    expected = text_of(store.state)
    for recording in (store.recording, path, str(path), read_recording(path)):
        assert text_of(replay(recording, append, ())) == expected


def test_replay_starts_where_it_is_told():
    """``@@INIT`` is replayed too, from the initial state given."""
    recording = record(True, Action("ONE", 1)).recording
    assert replay(recording, append, ("before",)) == ("before", (INIT, None), ("ONE", 1))
    assert replay([], append, "nothing") == "nothing"


def test_replay_leaves_out_what_the_reducer_asks_for(no_runtime):
    """Sagas, commands, views and quits are not started again; only states count."""
    answers = {
        "RESULT": ReducerResult(1, ("saga",), ("cmd",), ViewState()),
        "QUIT": Quit(ReducerResult(2), sagas=("saga",)),
    }
    recording = record(True, Action("RESULT"), Action("QUIT")).recording
    assert replay(recording[:2], lambda s, a: answers.get(a.type, s), 0) == 1
    assert replay(recording, lambda s, a: answers.get(a.type, s), 0) == 2


TAMPERINGS = {
    "payload": lambda lines: lines[2].update(action_payload=99),
    "type": lambda lines: lines[2].update(action_type="SUB"),
    "hash": lambda lines: lines[2].update(state_hash="0" * 64),
    "removed": lambda lines: lines.pop(2),
    "moved": lambda lines: lines.insert(2, lines.pop(3)),
    "inserted": lambda lines: lines.insert(2, dict(lines[1])),
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_the_first_tampered_entry_is_named(tmp_path, kind):
    """A changed, missing, moved or added entry stops the replay there, by number."""
    path = tmp_path / "session.jsonl"
    record(path, *(Action("ADD", number) for number in range(4)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    TAMPERINGS[kind](lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    replayed = []
    with pytest.raises(ReplayError, match=r"^entry 2 of the recording .* was changed") as caught:
        replay(path, lambda state, action: replayed.append(action.type), None)
    assert caught.value.index == 2
    assert replayed == [INIT, "ADD"]


def test_a_payload_changed_after_its_dispatch_is_named():
    """In memory, too: a payload that was modified later does not match its hash."""
    payload = []
    recording = record(True, Action("ADD", payload)).recording
    payload.append("later")
    with pytest.raises(ReplayError, match=r"entry 1 .* was changed"):
        replay(recording, append, ())


@pytest.mark.parametrize("from_file", [True, False])
def test_an_opaque_payload_stops_the_replay(tmp_path, from_file):
    """A payload that could not be recorded is named by its type, in memory as from a file."""
    path = tmp_path / "session.jsonl"
    store = record(path, Action("FINE"), Action("ODD", [object(), {1j}]))
    with pytest.raises(
        ReplayError, match=r"\(ODD\).*builtins:object, a builtins:complex"
    ) as caught:
        replay(path if from_file else store.recording, append, ())
    assert caught.value.index == 2


@pytest.mark.parametrize("depth", [250, 5_000])
def test_a_payload_too_deep_stops_the_replay(depth):
    """However deep a payload is, the replay ends in a ``ReplayError`` and not in the stack."""
    payload = ()
    for _ in range(depth):
        payload = (payload,)
    with pytest.raises(ReplayError, match="nested"):
        replay(record(True, Action("DEEP", payload)).recording, append, ())


def test_a_type_that_is_not_imported_here_is_named(tmp_path):
    """A recording that needs a module says which, instead of importing it."""
    path = tmp_path / "session.jsonl"
    record(path, Action("MOVE", Point(1)))
    path.write_text(path.read_text().replace("recorded_types:Point", "elsewhere:Point"))
    rechain(path)
    with pytest.raises(ReplayError, match=r"entry 1 .*elsewhere:Point.* import"):
        replay(path, append, ())


def rechain(path):
    """Make the hashes of a changed file right again, as a forger would."""
    last, lines = "", [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        last = line["state_hash"] = _chain(last, line["action_type"], line["action_payload"])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_forged_recording_starts_nothing(tmp_path):
    """A file with valid hashes cannot make the reader call a class of the forger's choice."""
    path, mark = tmp_path / "session.jsonl", tmp_path / "mark"
    record(path, Action("GO", Pair(1, 2)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["action_payload"] = {"~": "namedtuple", "t": "io:FileIO", "v": [str(mark), "w"]}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rechain(path)
    with pytest.raises(ReplayError, match=r"entry 1 .*io:FileIO"):
        replay(path, append, ())
    assert not mark.exists()


def test_a_line_cut_off_at_the_end_is_left_out(tmp_path, caplog):
    """Wherever a crash cuts the last line, the entries before it are read, with a warning."""
    path = tmp_path / "session.jsonl"
    record(path, Action("ONE"), Action("TWO", "ü" * 3))
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start + 1, len(whole) - 1):
        caplog.clear()
        path.write_bytes(whole[:end])
        with caplog.at_level(logging.WARNING, logger="milo_core.recording"):
            state = replay(path, append, ())
        assert [kind for kind, _ in state] == [INIT, "ONE"]
        assert "last line is incomplete" in caplog.text
    path.write_bytes(whole[:-1])
    assert len(read_recording(path)) == 3


@pytest.mark.parametrize("garbage", [b"garbage", b"[1]", b"5", b"{}", b"\xff\xfe", b"\x00" * 9])
def test_garbage_in_the_middle_is_named(tmp_path, garbage):
    """A line that is no entry is a ``ReplayError`` with its line number, and none is read."""
    path = tmp_path / "session.jsonl"
    record(path, Action("ONE"))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + garbage + b"\n" + second)
    with pytest.raises(ReplayError, match=r"entry 1 .*line 2\) is no entry") as caught:
        read_recording(path)
    assert caught.value.index == 1
    path.write_bytes(first + second + garbage)
    assert len(read_recording(path)) == 2


def test_entries_are_counted_without_blank_lines(tmp_path):
    """Blank lines are passed over; an entry's number is the same with and without them."""
    path = tmp_path / "session.jsonl"
    record(path, Action("ONE"))
    path.write_text("\n" + path.read_text().replace("\n", "\n\n") + "garbage\n")
    with pytest.raises(ReplayError) as caught:
        read_recording(path)
    assert caught.value.index == 2


def test_a_store_without_recording_is_told_apart():
    """Replaying ``None`` says that the store was made without ``record``."""
    with pytest.raises(TypeError, match=r"record=True"):
        replay(Store(append, ()).recording, append, ())


def test_a_missing_file_is_an_os_error(tmp_path):
    """A path without a file is the usual ``FileNotFoundError``."""
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "missing.jsonl", append, ())


def test_a_replay_error_crosses_processes():
    """``ReplayError`` is a ``MiloError`` and keeps its index and message through pickle."""
    error = pickle.loads(pickle.dumps(ReplayError(7, "is odd")))
    assert isinstance(error, MiloError)
    assert (str(error), error.index) == ("entry 7 of the recording is odd", 7)
