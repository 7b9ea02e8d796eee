"""Session recordings: every action in order, chained by hashes, and their replay.

An entry is ``{"timestamp", "action_type", "action_payload", "state_hash"}``. ``state_hash`` is
the SHA-256 of the hash before it, the type and the encoded payload, so equal sessions have
equal hashes in every process, and a changed, missing or moved entry breaks the chain
(DESIGN §3).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from milo_core.actions import Action
from milo_core.encoding import decode, encode, opaque_types
from milo_core.errors import MiloError, StateError
from milo_core.reducers import Reducer
from milo_core.results import unwrap

_log = logging.getLogger(__name__)
_START = ""


class ReplayError(MiloError):
    """A recording cannot be replayed from entry ``index`` (counted from 0) on."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(f"entry {index} of the recording {problem}")
        self.index = index


class Recorder:
    """Appends entries; called under the store's lock only.

    With a ``path``, each entry is one JSON line, handed to the operating system before
    ``record`` returns: what was dispatched survives the death of the process.
    """

    def __init__(self, path: Path | None) -> None:
        self.entries: list[dict[str, Any]] = []
        self._hash = _START
        self._file = None if path is None else _open(path)
        if self._file is not None:
            weakref.finalize(self, os.close, self._file)

    def record(self, action: Action) -> None:
        """Add an entry for ``action``, or raise ``StateError`` and add none."""
        payload = encode(action.payload)
        state_hash = _chain(self._hash, action.type, payload)
        entry = {
            "timestamp": time.time(),
            "action_type": action.type,
            "action_payload": action.payload,
            "state_hash": state_hash,
        }
        if self._file is not None:
            _write(self._file, json.dumps({**entry, "action_payload": payload}) + "\n")
        self.entries.append(entry)
        self._hash = state_hash


def read_recording(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a file made by ``Store(record=path)``, payloads still encoded.

    A last line that was cut off while it was written is left out, with a warning.

    Raises:
        ReplayError: another line is not an entry.
    """
    entries: list[dict[str, Any]] = []
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    for index, line in enumerate(lines):
        if not line:
            continue
        try:
            entry = json.loads(line)
            entries.append({key: entry[key] for key in ("timestamp", *_HASHED, "state_hash")})
        except (ValueError, KeyError, TypeError) as cause:
            if index == len(lines) - 1:
                _log.warning("%s: the last line is incomplete and was left out", path)
                break
            raise ReplayError(index, f"({path}, line {index + 1}) is no entry") from cause
    return entries


_HASHED = ("action_type", "action_payload")


def replay(
    recording: str | Path | Iterable[Mapping[str, Any]], reducer: Reducer, initial_state: Any
) -> Any:
    """The state that ``reducer`` reaches from ``initial_state`` over the recorded actions.

    ``recording`` is a path, or ``store.recording``. Sagas, commands and views that the
    reducer asks for are left out: their actions are in the recording already.

    Raises:
        ReplayError: an entry's hash does not continue the chain, or its payload was of a
            type that cannot be recorded (its type name stands there instead).
    """
    state = initial_state
    for action in _actions(recording):
        state = unwrap(reducer(state, action)).state
    return state


def _actions(recording: str | Path | Iterable[Mapping[str, Any]]) -> Iterator[Action]:
    from_file = isinstance(recording, str | Path)
    entries = read_recording(recording) if isinstance(recording, str | Path) else recording
    last = _START
    for index, entry in enumerate(entries):
        kind, payload = entry["action_type"], entry["action_payload"]
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
                "plain values, dataclasses or enums in payloads",
            )
        try:
            yield Action(kind, decode(encoded) if from_file else payload)
        except LookupError as cause:
            raise ReplayError(index, f"({kind}) needs {cause}; import it first") from cause


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


def _write(file: int, line: str) -> None:
    data = line.encode()
    try:
        while data:
            data = data[os.write(file, data) :]
    except OSError as cause:
        raise StateError(f"the recording cannot be written: {cause.strerror}") from cause
