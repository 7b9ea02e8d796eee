"""The SQLite file of a checkpoint: made whole, recognised before it is touched, held by one.

Recognition reads the first hundred bytes itself. SQLite would take an empty file for an empty
database, and might finish somebody else's interrupted transaction in a file that is not ours.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Final

from milo_pipeline.persistence._files import unfinished
from milo_pipeline.persistence.errors import CheckpointError

APPLICATION_ID: Final = 0x4D694370  # "MiCp"
VERSION: Final = 1

_MAGIC: Final = b"SQLite format 3\0"
_VERSION_AT: Final = slice(60, 64)
_APPLICATION_AT: Final = slice(68, 72)
_HEADER_SIZE: Final = 100

_MAKE: Final = f"""
    PRAGMA journal_mode = OFF; -- a file that was not finished is not used
    BEGIN;
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {VERSION};
    CREATE TABLE run (pipeline TEXT NOT NULL);
    CREATE TABLE phase (
        name TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        result TEXT,
        unencodable TEXT NOT NULL,
        digest TEXT NOT NULL
    );
    COMMIT;
"""

_guard = threading.Lock()
_claimed: set[tuple[int, int]] = set()
"""Files in use by this process, by device and inode; under ``_guard``.

SQLite's locks keep other processes out. They belong to the process: reading the header of a
file that it has open already would, on closing, let go of them.
"""


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """A checkpoint that this process alone has open, until ``close``."""

    path: Path
    connection: sqlite3.Connection
    _claim: tuple[int, int]

    def close(self) -> None:
        """Close the file and let others have it."""
        try:
            self.connection.close()
        finally:
            _release(self._claim)


def open_file(path: Path, pipeline_name: str) -> CheckpointFile:
    """The checkpoint at ``path``, made if there is none, for this process alone.

    Raises:
        CheckpointError: see ``Checkpoint.open``.
    """
    try:
        _make_unless_there(path, pipeline_name)
        claim = _claim(path)
    except OSError as cause:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} cannot be made: {cause.strerror}; "
            "give a path in a folder that exists and is writable"
        ) from cause
    except (sqlite3.Error, UnicodeError) as cause:  # half a character in the pipeline's name
        raise _refused(path, cause) from cause
    try:
        _refuse_unless_ours(path)
        return CheckpointFile(path, _connect(path), claim)
    except BaseException:
        _release(claim)
        raise


def in_use(path: Path) -> CheckpointError:
    """The error for a file that somebody else has open."""
    return CheckpointError(
        f"the checkpoint {str(path)!r} is in use by another run; wait until that has ended, "
        "or give this run a path of its own"
    )


def damaged(path: Path, how: object) -> CheckpointError:
    """The error for a file that was ours and cannot be trusted any more."""
    return CheckpointError(
        f"the checkpoint {str(path)!r} is damaged ({how}); delete it to start afresh"
    )


def _make_unless_there(path: Path, pipeline_name: str) -> None:
    """Make a new checkpoint under another name, then give it its own unless that is taken.

    So a file by this name is complete, even if its maker was killed, and an empty one is
    somebody else's.
    """
    log = path.with_name(f"{path.name}-wal")
    left_over = log.exists()  # looked for first: a checkpoint is there before its log
    if path.exists():
        return
    if left_over:
        raise CheckpointError(
            f"{str(log)!r} is left of a checkpoint that was deleted, and SQLite would take it "
            "for a part of the new one; delete it as well"
        )
    beside = unfinished(path)
    try:
        _make(beside, pipeline_name)
        _name_unless_taken(beside, path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _name_unless_taken(beside: Path, path: Path) -> None:
    try:
        os.link(beside, path)
    except FileExistsError:
        return  # another run was faster
    except OSError:  # a file system without hard links
        if not path.exists():
            beside.rename(path)


def _make(path: Path, pipeline_name: str) -> None:
    path.open("xb").close()  # an error of the system's own says more than SQLite's
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_MAKE)
        connection.execute("INSERT INTO run VALUES (?)", (pipeline_name,))
        connection.execute("PRAGMA journal_mode = WAL")


def _claim(path: Path) -> tuple[int, int]:
    found = path.stat()
    if not S_ISREG(found.st_mode):
        raise CheckpointError(
            f"{str(path)!r} is no file, so it cannot be a checkpoint; give the path of a file"
        )
    claim = (found.st_dev, found.st_ino)
    with _guard:
        if claim in _claimed:
            raise in_use(path)
        _claimed.add(claim)
    return claim


def _release(claim: tuple[int, int]) -> None:
    with _guard:
        _claimed.discard(claim)


def _refuse_unless_ours(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_SIZE)
    except OSError as cause:
        raise CheckpointError(
            f"the checkpoint {str(path)!r} cannot be read: {cause.strerror}; make it readable "
            "for this user, or give another path"
        ) from cause
    if header[: len(_MAGIC)] != _MAGIC or header[_APPLICATION_AT] != _big_endian(APPLICATION_ID):
        raise CheckpointError(
            f"{str(path)!r} is no checkpoint of Milo's and was left as it is; give another path"
        )
    if header[_VERSION_AT] != _big_endian(VERSION):
        raise CheckpointError(
            f"the checkpoint {str(path)!r} was made by another version of Milo; resume it with "
            "that version, or delete it to start afresh"
        )


def _big_endian(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"  # rw: never make one, it may just be deleted
    try:
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=0, check_same_thread=False
        )
    except sqlite3.Error as cause:
        raise _refused(path, cause) from cause
    try:
        _set_up(connection, path)
    except sqlite3.Error as cause:
        connection.close()
        raise _refused(path, cause) from cause
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    """Take the file's lock, which ends with the process however that ends, and look it over.

    NORMAL: what is committed is with the system when ``execute`` returns, so no death of the
    process loses or tears it. A power cut may lose the last commits, never tear one: their
    phases run again. FULL would wait for the disk after every phase to spare that.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA synchronous = NORMAL")
    ((complaint,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
    if complaint != "ok":
        raise damaged(path, complaint.splitlines()[-1])  # the first is a headline


def _refused(path: Path, cause: Exception) -> CheckpointError:
    name = getattr(cause, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return in_use(path)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, cause)
    return CheckpointError(
        f"the checkpoint {str(path)!r} cannot be used: {cause}; it must be a file that this "
        "user may write, in a folder where SQLite may make another beside it"
    )
