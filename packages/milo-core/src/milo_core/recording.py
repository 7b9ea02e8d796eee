"""Session recordings: every action in order, chained by hashes, and their replay.

An entry is ``{"timestamp", "action_type", "action_payload", "state_hash"}``. ``state_hash`` is
the SHA-256 of the hash before it, the type and the encoded payload, so equal sessions have
equal hashes in every process, and an entry that was changed, added, removed or moved breaks
the chain. Not covered: timestamps, and entries missing at the very end.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from milo_core.actions import Action
from milo_core.encoding import decode, encode, opaque_types
from milo_core.errors import ReplayError, StateError
from milo_core.reducers import Reducer
from milo_core.results import unwrap

_log = logging.getLogger(__name__)
_START = ""


class Recorder:
    """Appends entries; called under the store's lock only.

    With a ``path``, each entry is one JSON line, handed to the operating system before
    ``record`` returns: what was dispatched survives the death of the process.
    """

    def __init__(self, path: Path | None) -> None:
        self.entries: list[dict[str, Any]] = []
        self._hash = _START
        self._file = None if path is None else _open(path)
        self._size = 0
        if self._file is not None:
            closing = weakref.finalize(self, os.close, self._file)
            closing.atexit = False  # exit handlers may dispatch; the system closes it after them

    def record(self, action: Action) -> None:
        """Add an entry for ``action``, or raise ``StateError`` and add none."""
        if not isinstance(action.type, str):
            raise StateError(
                f"the type of a recorded action is a string, was given {action.type!r}; "
                "use a str or StrEnum"
            )
        if isinstance(encode(str(action.type)), dict):
            raise StateError(
                f"the type of a recorded action is text that JSON can hold, was given "
                f"{action.type!r}, which has one character as two halves; write it as one"
            )
        payload = encode(action.payload)
        state_hash = _chain(self._hash, action.type, payload)
        entry = {
            "timestamp": time.time(),
            "action_type": action.type,
            "action_payload": action.payload,
            "state_hash": state_hash,
        }
        if self._file is not None:
            line = json.dumps({**entry, "action_payload": payload}) + "\n"
            self._size += _append(self._file, line.encode(), self._size)
        self.entries.append(entry)
        self._hash = state_hash


class _FileEntry(dict[str, Any]):
    """An entry whose payload is still encoded; the store's own entries hold the payload itself."""


def read_recording(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a file made by ``Store(record=path)``, payloads still encoded.

    A last line that was cut off while it was written is left out, with a warning. ``replay``
    takes the result like the path itself.

    Raises:
        ReplayError: another line is not an entry.
    """
    entries: list[dict[str, Any]] = []
    lines = Path(path).read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            entry = json.loads(line.decode())
            entries.append(_FileEntry({key: entry[key] for key in _KEYS}))
        except (ValueError, KeyError, TypeError, RecursionError) as cause:
            if number == len(lines):
                _log.warning("%s: the last line is incomplete and was left out", path)
                break
            raise ReplayError(len(entries), f"({path}, line {number}) is no entry") from cause
    return entries


_KEYS = ("timestamp", "action_type", "action_payload", "state_hash")


def replay(
    recording: str | Path | Iterable[Mapping[str, Any]], reducer: Reducer, initial_state: Any
) -> Any:
    """The state that ``reducer`` reaches from ``initial_state`` over the recorded actions.

    ``recording`` is a path, what ``read_recording`` returned, or ``store.recording``. Sagas,
    commands and views that the reducer asks for are left out: their actions are in the
    recording already. What the reducer raises comes out as it is.

    Raises:
        ReplayError: an entry's hash does not continue the chain, its payload was of a type
            that cannot be recorded (its type name stands there instead), or is of a type
            that is not imported here.
    """
    if recording is None:
        raise TypeError("there is no recording to replay; make the store with record=True")
    state = initial_state
    for action in _actions(recording):
        state = unwrap(reducer(state, action)).state
    return state


def _actions(recording: str | Path | Iterable[Mapping[str, Any]]) -> Iterator[Action]:
    entries = read_recording(recording) if isinstance(recording, str | Path) else recording
    last = _START
    for index, entry in enumerate(entries):
        kind, payload = entry["action_type"], entry["action_payload"]
        from_file = isinstance(entry, _FileEntry)
        encoded = payload if from_file else encode(payload)
        last = _chain(last, kind, encoded)
        if last != entry["state_hash"]:
            raise ReplayError(
                index, f"({kind}) was changed, or one before it was: its hash is not {last[:12]}…"
            )
        if unknown := opaque_types(encoded):
            raise ReplayError(
                index,
                f"({kind}) carries a {', a '.join(unknown)}, which cannot be recorded; use "
                "plain values, paths, dataclasses or enums in payloads, not nested without end",
            )
        try:
            yield Action(kind, decode(encoded) if from_file else payload)
        except LookupError as cause:
            raise ReplayError(index, f"({kind}) cannot be read: {cause.args[0]}") from cause


def _chain(last: str, kind: str, payload: Any) -> str:
    text = json.dumps([last, kind, payload], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    except OSError as cause:
        raise StateError(
            f"cannot record to {str(path)!r}: {cause.strerror}; give a path in a folder that "
            "exists and is writable"
        ) from cause


def _append(file: int, line: bytes, size: int) -> int:
    """Write ``line`` behind the ``size`` bytes there are, or leave them as they are."""
    rest = line
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError as cause:
        with suppress(OSError):  # a pipe or device, which keeps no half line either
            os.ftruncate(file, size)
        raise StateError(f"the recording cannot be written: {cause.strerror}") from cause
    return len(line)
