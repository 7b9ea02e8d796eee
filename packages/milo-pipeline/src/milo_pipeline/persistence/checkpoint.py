"""One run, remembered phase by phase, so that the next one goes on where it was killed."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple

from milo_pipeline.persistence._checkpoint_file import CheckpointFile, damaged, open_file
from milo_pipeline.persistence._values import Unencodable, digest, pack, unpack
from milo_pipeline.persistence.errors import CheckpointError
from milo_pipeline.persistence.fingerprint import Definition

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """How a phase ended in the run that is resumed, and what it returned."""

    status: Literal["completed", "skipped"]
    result: Any


class _Row(NamedTuple):
    name: str
    status: Literal["completed", "skipped"]
    fingerprint: str
    result: str | None
    unencodable: str
    digest: str

    def is_whole(self) -> bool:
        return self.digest == _row_digest(self[:-1])


class Checkpoint:
    """What a run of a pipeline has done so far, in a file.

    Every method may be called from any thread. A record is with the operating system before
    ``record`` returns, so it survives the death of the process; a power cut may cost the last
    ones. The file belongs to one checkpoint at a time. After a kill there may be a second
    file, ``<name>-wal``: the two belong together.

    >>> from milo_pipeline import Phase
    >>> from milo_pipeline.persistence import define
    >>> from tempfile import TemporaryDirectory
    >>> definitions = {"parse": define(Phase("parse", print))}
    >>> with TemporaryDirectory() as folder:
    ...     with Checkpoint.open(f"{folder}/site.checkpoint", "site", definitions) as checkpoint:
    ...         checkpoint.record("parse", "completed", ("a", "b"))
    ...     with Checkpoint.open(f"{folder}/site.checkpoint", "site", definitions) as checkpoint:
    ...         checkpoint.completed()
    {'parse': Kept(status='completed', result=('a', 'b'))}
    """

    def __init__(self, file: CheckpointFile, definitions: Mapping[str, Definition]) -> None:
        self._file: Final = file
        self._definitions: Final = dict(definitions)
        self._lock: Final = threading.Lock()
        self._closed = False
        self._unencodable: dict[str, str] = {}
        self._kept: dict[str, Kept] = {}
        self._again: dict[str, str] = {}

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        pipeline_name: str,
        definitions: Mapping[str, Definition],
    ) -> Checkpoint:
        """The checkpoint at ``path``, made if there is none; nobody else has it until it closes.

        ``definitions`` says what each phase of the pipeline is now. A phase that the file
        knows keeps its result if its definition is the same and every phase it depends on
        keeps its own. All other records are forgotten; ``again`` says why, for each.

        Raises:
            CheckpointError: the file is not a checkpoint, or of another pipeline or version,
                or damaged, or in use, or its folder is missing or not writable. Whatever it
                is, it has not been changed.
        """
        file = open_file(Path(path), pipeline_name)
        checkpoint = cls(file, definitions)
        try:
            checkpoint._resume(pipeline_name)
        except BaseException:
            checkpoint.close()
            raise
        return checkpoint

    def completed(self) -> dict[str, Kept]:
        """What need not run again: the phases whose results were kept when this was opened."""
        return dict(self._kept)

    @property
    def again(self) -> dict[str, str]:
        """The phases that were done and yet run again, and why; to be shown to the user."""
        return dict(self._again)

    @property
    def unencodable(self) -> dict[str, str]:
        """The phases recorded here that will run again on resume, and a warning for each."""
        with self._lock:
            return dict(self._unencodable)

    def record(
        self, phase: str, status: Literal["completed", "skipped"], result: Any = None
    ) -> None:
        """Keep that ``phase`` has ended like this; committed when this returns.

        A result that cannot be written is not kept: ``unencodable`` says so, and on resume
        the phase runs again, with all that depends on it.

        Raises:
            CheckpointError: the file cannot be written, or is closed.
            KeyError: the pipeline has no such phase.
        """
        fingerprint = self._definitions[phase].fingerprint
        text: str | None = None
        types: tuple[str, ...] = ()
        try:
            text = pack(result)
        except Unencodable as error:
            types = error.types
            _log.warning("%s", _cannot_keep(phase, types), extra={"milo_phase": phase})
        row = (phase, status, fingerprint, text, json.dumps(types))
        with self._lock:
            self._write(
                "INSERT OR REPLACE INTO phase VALUES (?, ?, ?, ?, ?, ?)",
                [(*row, _row_digest(row))],
            )
            if types:
                self._unencodable[phase] = _cannot_keep(phase, types)

    def forget(self, phases: Iterable[str]) -> None:
        """Take back what was recorded of ``phases``: they run again although nothing here says so.

        To be called before they do, or a later resume would go on after what they once were.

        Raises:
            CheckpointError: the file cannot be written, or is closed.
        """
        names = tuple(phases)
        for name in names:
            self._kept.pop(name, None)
        with self._lock:
            self._write("DELETE FROM phase WHERE name = ?", [(name,) for name in names])

    def finish(self) -> None:
        """Say that the run is over, and close: the next ``open`` starts afresh.

        Raises:
            CheckpointError: the file cannot be written, or is closed.
        """
        with self._lock:
            self._write("DELETE FROM phase", [()])
        self.close()

    def close(self) -> None:
        """Let go of the file, keeping what it holds. Closing twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._file.close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _resume(self, pipeline_name: str) -> None:
        """Read what the file holds, and forget in it what does not hold any more.

        Forgotten at once: a phase that runs again may get another result, and a record made
        from the old one would look right to a later resume if this run is killed as well.
        """
        with self._lock:
            rows = self._read(pipeline_name)
        self._kept, self._again = _sort_out(rows, self._definitions)
        lost = [(row.name,) for row in rows if row.name not in self._kept]
        if lost:
            with self._lock:
                self._write("DELETE FROM phase WHERE name = ?", lost)

    def _read(self, pipeline_name: str) -> list[_Row]:
        path, connection = self._file.path, self._file.connection
        try:
            # fetchall, for a statement that is not at its end keeps a closed file open
            ((owner,),) = connection.execute("SELECT pipeline FROM run").fetchall()
            rows = connection.execute("SELECT * FROM phase").fetchall()
        except (sqlite3.Error, ValueError) as cause:
            raise damaged(path, cause) from cause
        if owner != pipeline_name:
            raise CheckpointError(
                f"the checkpoint {str(path)!r} belongs to pipeline {owner!r}, not to "
                f"{pipeline_name!r}; give each a path of its own, or delete it to start afresh"
            )
        found = [_Row(*row) for row in rows]
        for row in found:
            if not row.is_whole():
                raise damaged(path, f"the record of phase {row.name!r} has changed")
        return found

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run ``statement`` for all ``rows`` or for none; called with the lock held."""
        path = self._file.path
        if self._closed:
            raise CheckpointError(f"the checkpoint {str(path)!r} is closed; open it again")
        connection = self._file.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # or every later record would join this one
                    connection.execute("ROLLBACK")
        except (sqlite3.Error, UnicodeError) as cause:  # half a character in a phase's name
            raise CheckpointError(
                f"the checkpoint {str(path)!r} cannot be written: {cause}; see that there is "
                "room and that the file is still there; what it held before is kept"
            ) from cause


def _sort_out(
    rows: Iterable[_Row], definitions: Mapping[str, Definition]
) -> tuple[dict[str, Kept], dict[str, str]]:
    """What is kept, and for the others that are still in the pipeline why they are not."""
    kept: dict[str, Kept] = {}
    again: dict[str, str] = {}
    for row in rows:
        if row.name not in definitions:
            continue
        found = _read_back(row, definitions[row.name])
        if isinstance(found, Kept):
            kept[row.name] = found
        else:
            again[row.name] = found
    _drop_dependents(kept, again, definitions)
    return kept, again


def _read_back(row: _Row, now: Definition) -> Kept | str:
    if row.fingerprint != now.fingerprint:
        return "its definition, code or parameters have changed"
    if row.result is None:
        return f"its result could not be kept: {', '.join(json.loads(row.unencodable))}"
    try:
        return Kept(row.status, unpack(row.result))
    except LookupError as error:
        return f"its result cannot be read here: {error}"
    except Exception as error:  # foreign code, the hash of a key; the reason goes to ``again``
        return f"its result cannot be read here: {type(error).__name__}: {error}"


def _drop_dependents(
    kept: dict[str, Kept], again: dict[str, str], definitions: Mapping[str, Definition]
) -> None:
    """Take out of ``kept`` what depends, however far, on something that is not in it."""
    dependents: dict[str, list[str]] = {}
    for name, definition in definitions.items():
        for needed in definition.depends_on:
            dependents.setdefault(needed, []).append(name)
    runs = [name for name in definitions if name not in kept]
    while runs:
        needed = runs.pop()
        for name in dependents.get(needed, ()):
            if kept.pop(name, None) is not None:
                again[name] = f"{needed!r} runs again, on which it depends"
                runs.append(name)


def _row_digest(row: tuple[str | None, ...]) -> str:
    return digest(*(json.dumps(part) for part in row))


def _cannot_keep(phase: str, types: tuple[str, ...]) -> str:
    return (
        f"the result of phase {phase!r} holds {', '.join(types)}, which cannot be kept: the "
        "phase runs again on resume; return plain values, paths, dataclasses or enums to avoid that"
    )
