"""``Store(record=...)``: what is kept, in memory and on disk."""

import hashlib
import json
import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest
from recorded_types import Colour, Point

from milo_core import Action, StateError, Store, read_recording
from milo_core.actions import INIT


def count(state, action):
    return state + 1 if action.type == "ADD" else state


def run(code, *arguments):
    """What ``code`` prints in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_no_recording_unless_asked_for():
    """``recording`` is ``None`` without ``record``."""
    assert Store(count, 0).recording is None


def test_every_dispatch_is_an_entry():
    """Entries hold time, type, payload and hash of each action, ``@@INIT`` first."""
    store = Store(count, 0, record=True)
    payload = [object()]
    store.dispatch(Action("ADD", payload))
    init, add = store.recording
    assert list(init) == ["timestamp", "action_type", "action_payload", "state_hash"]
    assert (init["action_type"], add["action_type"]) == (INIT, "ADD")
    assert add["action_payload"] is payload
    assert init["timestamp"] <= add["timestamp"]


def test_the_hash_is_a_chain():
    """Each hash is the SHA-256 of the one before, the type and the payload, as JSON."""
    store = Store(count, 0, record=True)
    store.dispatch(Action("ADD", (1,)))
    last = ""
    for entry, payload in zip(store.recording, [None, {"~": "tuple", "v": [1]}], strict=True):
        text = json.dumps([last, entry["action_type"], payload], separators=(",", ":"))
        last = hashlib.sha256(text.encode()).hexdigest()
        assert entry["state_hash"] == last


def test_equal_sessions_have_equal_hashes():
    """Hashes depend on what was dispatched, in which order, and on nothing else."""

    def hashes(*actions):
        store = Store(lambda state, action: object(), None, record=True)
        for action in actions:
            store.dispatch(action)
        return [entry["state_hash"] for entry in store.recording]

    one, two = Action("ONE", {"a", "b"}), Action("TWO", Point(1))
    assert hashes(one, two) == hashes(one, Action("TWO", Point(1)))
    assert hashes(one, two)[-1] != hashes(two, one)[-1]
    assert hashes(one)[-1] != hashes(Action("ONE", ["a", "b"]))[-1]


def test_a_recording_is_a_copy():
    """Changing what ``recording`` returned, list or entries, changes nothing in the store."""
    store = Store(count, 0, record=True)
    taken = store.recording
    taken[0]["action_type"] = "CHANGED"
    taken.clear()
    assert [entry["action_type"] for entry in store.recording] == [INIT]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_streams_json_lines(tmp_path, kind):
    """With a path, each action is a line of the file before ``dispatch`` returns."""
    path = tmp_path / "session.jsonl"
    store = Store(count, 0, record=kind(path))
    assert len(path.read_text().splitlines()) == 1
    store.dispatch(Action("ADD", {Colour.RED: b"\x00"}))
    assert path.read_bytes().endswith(b"\n")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["state_hash"] for line in lines] == [e["state_hash"] for e in store.recording]
    assert read_recording(path) == lines


def test_an_old_recording_is_replaced(tmp_path):
    """A new store at the same path starts the file anew."""
    path = tmp_path / "session.jsonl"
    path.write_text("old\n" * 100)
    Store(count, 0, record=path)
    assert [entry["action_type"] for entry in read_recording(path)] == [INIT]


def test_what_was_dispatched_survives_a_killed_process(tmp_path):
    """A process that dies without a goodbye leaves every dispatched action behind."""
    path = tmp_path / "session.jsonl"
    code = """
import os, signal, sys
from milo_core import Action, Store
store = Store(lambda state, action: state, 0, record=sys.argv[1])
for number in range(100):
    store.dispatch(Action("STEP", number))
os._exit(1)
"""
    run(code, path)
    assert [entry["action_payload"] for entry in read_recording(path)] == [None, *range(100)]


def test_an_exit_handler_can_still_dispatch(tmp_path):
    """Recording goes on while the interpreter ends, whoever registered to run then first."""
    path = tmp_path / "session.jsonl"
    code = """
import atexit, sys
from milo_core import Action, Store
atexit.register(lambda: store.dispatch(Action("BYE")))
store = Store(lambda state, action: state, 0, record=sys.argv[1])
"""
    ended = run(code, path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [entry["action_type"] for entry in read_recording(path)] == [INIT, "BYE"]


def test_a_full_disk_refuses_the_dispatch_and_spoils_nothing(tmp_path):
    """What cannot be written is not dispatched; no half line is left, and later ones are whole."""
    pytest.importorskip("resource", reason="limits on file sizes are POSIX")
    path = tmp_path / "session.jsonl"
    code = """
import resource, sys
from milo_core import Action, StateError, Store
store = Store(lambda state, action: action.type, 0, record=sys.argv[1])
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
try:
    store.dispatch(Action("LONG", "x" * 5000))
except StateError as error:
    print(store.state, "cannot be written" in str(error), len(store.recording))
store.dispatch(Action("SHORT"))
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
"""
    ended = run(code, path)
    assert (ended.stdout, ended.stderr) == ("@@INIT True 1\n", "")
    assert [entry["action_type"] for entry in read_recording(path)] == [INIT, "SHORT"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """A path in a missing folder, or a folder itself, is a ``StateError`` with the path."""
    for path in (tmp_path / "missing" / "session.jsonl", tmp_path):
        with pytest.raises(
            StateError, match=r"cannot record to .*exists and is writable"
        ) as caught:
            Store(count, 0, record=path)
        assert str(path) in str(caught.value)
        assert isinstance(caught.value.__cause__, OSError)


class Kind(Enum):
    ADD = 1


@pytest.mark.parametrize("kind", [Kind.ADD, 5, None])
def test_a_type_that_is_no_text_cannot_be_recorded(kind):
    """Recording an action whose type is no string is a ``StateError``; the state is unchanged."""
    store = Store(lambda state, action: action.type, 0, record=True)
    with pytest.raises(StateError, match="type of a recorded action is a string, was given"):
        store.dispatch(Action(kind))
    assert (store.state, len(store.recording)) == (INIT, 1)


@pytest.mark.parametrize("payload", [object(), print, [{}], lambda: 0])
def test_any_payload_can_be_dispatched(tmp_path, payload):
    """A payload that cannot be recorded is marked, not refused."""
    store = Store(lambda state, action: action.payload, 0, record=tmp_path / "session.jsonl")
    store.dispatch(Action("GO", payload))
    assert store.state is payload


def test_a_type_in_two_halves_is_refused():
    """A surrogate pair would read back as its one character, whose hash is another's."""
    store = Store(lambda state, action: state, 0, record=True)
    with pytest.raises(StateError, match="two halves; write it as one"):
        store.dispatch(Action("\ud83d\ude00"))
    assert [entry["action_type"] for entry in store.recording] == ["@@INIT"]
    store.dispatch(Action("😀"))
    assert len(store.recording) == 2
