"""Results of earlier runs, so that a phase whose inputs have not changed need not run."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from milo_pipeline.persistence._cache_folder import CacheFolder
from milo_pipeline.persistence._files import write_atomically
from milo_pipeline.persistence._inputs import input_fingerprint
from milo_pipeline.persistence._values import Unencodable, digest, pack, unpack
from milo_pipeline.persistence.errors import CacheError, FingerprintError
from milo_pipeline.persistence.fingerprint import params_fingerprint, value_fingerprint
from milo_pipeline.phase_status import PhaseLog

_log = logging.getLogger(__name__)

_FORMAT: Final = 1
_KEY: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Hit:
    """What a phase returned and wrote when it ran under the same key."""

    result: Any
    logs: tuple[PhaseLog, ...] = ()


class PhaseCache:
    """A folder with one file for each result; any number of processes may use it at once.

    Every method may be called from any thread. ``root`` is where relative inputs and outputs
    begin. The folder is made by the first ``store``; one that exists must be empty or a cache.
    With ``force`` nothing is loaded and everything is stored, over damaged entries too.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     cache = PhaseCache(folder)
    ...     key = cache.key("parse", "code", "inputs")
    ...     cache.load(key), cache.store(key, {"pages": 3}), cache.load(key)
    (None, (), Hit(result={'pages': 3}, logs=()))
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        root: str | os.PathLike[str] = ".",
        force: bool = False,
    ) -> None:
        self._folder: Final = CacheFolder(Path(folder))
        self._root: Final = Path(root)
        self._force: Final = force

    def refuse_unless_usable(self) -> None:
        """Raise ``CacheError`` if the folder is neither missing nor empty nor a cache."""
        self._folder.refuse_unless_ours()

    def key(
        self,
        phase_name: str,
        code: str,
        inputs: str,
        params: Mapping[str, Any] | None = None,
        dependency_keys: Mapping[str, str] | None = None,
        *,
        version: int = 0,
    ) -> str:
        """The name under which a phase's result is kept: 64 hexadecimal digits.

        ``code`` and ``inputs`` are fingerprints; ``dependency_keys`` has, for each dependency,
        its key or whatever else tells its result from others.

        Raises:
            FingerprintError: a parameter that cannot be written down.
        """
        return digest(
            phase_name,
            code,
            inputs,
            params_fingerprint(params),
            value_fingerprint(sorted((dependency_keys or {}).items())),
            str(version),
        )

    def load(self, key: str, outputs: Iterable[str] = ()) -> Hit | None:
        """What is kept under ``key``, if ``outputs`` are there as they were then; else ``None``.

        Nothing is kept either if the result has a class that is not imported here or whose
        fields have changed; that is logged as a warning.

        Raises:
            CacheError: the folder or the entry cannot be read, or is damaged, or not ours.
        """
        path = self._path(key)
        if self._force:
            return None
        self._folder.refuse_unless_ours()
        entry = self._read(path, key)
        if entry is None or entry["outputs"] != self._fingerprint_if_there(outputs):
            return None
        try:
            hit = Hit(unpack(entry["result"]), tuple(PhaseLog(*log) for log in entry["logs"]))
        except Exception as error:  # a class, or the hash of a key, that is foreign code
            _log.warning("cached result of %s cannot be read, so it is made again: %s", path, error)
            return None
        with suppress(OSError):  # a folder that is only for reading; then nothing is pruned either
            os.utime(path)
        return hit

    def store(
        self, key: str, result: Any, *, logs: Iterable[PhaseLog] = (), outputs: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Keep what a phase has returned, written and left in ``outputs``.

        Returns the names of the types that prevented it; none if it is kept. Of several
        processes with one key the last one's is kept.

        Raises:
            CacheError: the folder or file cannot be written, or is not ours, or what is kept
                under ``key`` already is damaged and ``force`` was not given.
            FingerprintError: an output is not there.
        """
        path = self._path(key)
        try:
            text = pack(result)
        except Unencodable as error:
            return error.types
        content = {
            "outputs": input_fingerprint(outputs, self._root),
            "logs": [[log.line, log.stream, log.timestamp] for log in logs],
            "result": text,
        }
        self._folder.make()
        if not self._force:
            self._read(path, key)
        try:
            write_atomically(path, _entry(key, json.dumps(content)))
        except OSError as cause:
            raise CacheError(
                f"the cache entry {str(path)!r} cannot be written: {cause.strerror}; make room, "
                "or give a cache folder that this user may write"
            ) from cause
        return ()

    def prune(self, max_bytes: int) -> int:
        """Delete what was not used for longest until entries take up at most ``max_bytes``.

        Returns how many entries are gone. Also deletes what killed processes left unfinished
        more than a day ago. An entry that another process uses meanwhile is made again there.

        Raises:
            CacheError: the folder is not ours, or a file in it cannot be deleted.
        """
        self._folder.refuse_unless_ours()
        return self._folder.prune(max_bytes)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"a cache key has 64 hexadecimal digits, as key() makes, not {key!r}")
        return self._folder.entry(key)

    def _read(self, path: Path, key: str) -> dict[str, Any] | None:
        """What the entry says, ``None`` if there is none."""
        try:
            head, _, body = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as cause:
            advice = "delete it, it is no file" if path.is_dir() else _ADVICE
            raise CacheError(
                f"the cache entry {str(path)!r} cannot be read: {cause.strerror}; {advice}"
            ) from cause
        if head != _head(key, body):
            raise CacheError(
                f"the cache entry {str(path)!r} is damaged or of another version, and was left "
                f"as it is; {_ADVICE}"
            )
        content: dict[str, Any] = json.loads(body)
        return content

    def _fingerprint_if_there(self, outputs: Iterable[str]) -> str | None:
        try:
            return input_fingerprint(outputs, self._root)
        except FingerprintError:  # missing, or not to be read: then the phase makes it again
            return None


_ADVICE: Final = "delete it, or run with --force to replace it"


def _entry(key: str, body: str) -> bytes:
    encoded = body.encode()
    return _head(key, encoded) + b"\n" + encoded


def _head(key: str, body: bytes) -> bytes:
    """The first line of an entry: what it is, and a hash that every other byte is checked by."""
    head = {"milo-phase-cache": _FORMAT, "key": key, "digest": digest(body.decode("latin-1"))}
    return json.dumps(head).encode()
