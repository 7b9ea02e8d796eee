"""The folder of a cache: recognised by a tag before anything in it is touched.

The tag is the ``CACHEDIR.TAG`` that backup programs know, with a line of ours. It is there
before the first entry, so a folder with anything in it and no tag belongs to somebody else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from os import stat_result
from pathlib import Path
from typing import Final

from milo_pipeline.persistence._files import UNFINISHED, write_atomically
from milo_pipeline.persistence.errors import CacheError

_TAG_NAME: Final = "CACHEDIR.TAG"
_TAG: Final = b"""Signature: 8a477f597d28d172789f06886806bc55
# Results of pipeline phases, kept by Milo; the folder may be deleted at any time.
# milo-phase-cache 1
"""
_SUFFIX: Final = ".milo.json"
_DAY: Final = 24 * 60 * 60


class CacheFolder:
    """One folder; holds nothing in memory, so any number may stand for the same one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tag = path / _TAG_NAME

    def entry(self, key: str) -> Path:
        """Where the entry of ``key`` is, or would be."""
        return self._path / f"{key}{_SUFFIX}"

    def make(self) -> None:
        """Make the folder and its tag unless both are there.

        Raises:
            CacheError: it cannot be made, or is somebody else's.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            if not self._is_tagged():
                write_atomically(self._tag, _TAG)
        except OSError as cause:
            raise self._unusable(cause) from cause

    def refuse_unless_ours(self) -> None:
        """Raise ``CacheError`` if the folder is neither missing nor empty nor a cache."""
        try:
            self._is_tagged()
        except FileNotFoundError:
            return
        except OSError as cause:
            raise self._unusable(cause) from cause

    def prune(self, max_bytes: int) -> int:
        """See ``PhaseCache.prune``."""
        try:
            for path, facts in self._files(UNFINISHED):
                if facts.st_mtime < time.time() - _DAY:
                    path.unlink(missing_ok=True)
            return self._prune_entries(max_bytes)
        except OSError as cause:
            raise self._unusable(cause) from cause

    def _prune_entries(self, max_bytes: int) -> int:
        entries = sorted(self._files(_SUFFIX), key=lambda entry: entry[1].st_mtime_ns)
        excess = sum(facts.st_size for _, facts in entries) - max_bytes
        gone = 0
        for path, facts in entries:
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= facts.st_size
            gone += 1
        return gone

    def _files(self, suffix: str) -> Iterator[tuple[Path, stat_result]]:
        if not self._path.exists():
            return
        for path in self._path.iterdir():
            if path.name.endswith(suffix):
                try:
                    yield path, path.stat()
                except FileNotFoundError:  # another process prunes as well
                    continue

    def _is_tagged(self) -> bool:
        """Whether the tag is there; raises ``CacheError`` if something else is instead."""
        names = {path.name for path in self._path.iterdir()}  # before the tag, see above
        try:
            tag = self._tag.read_bytes()
        except FileNotFoundError:
            if all(name.endswith(UNFINISHED) or name == _TAG_NAME for name in names):
                return False
            tag = b""
        if tag != _TAG:
            raise CacheError(
                f"{str(self._path)!r} is not empty and no cache of this version of Milo, and was "
                "left as it is; give a folder that is new or empty"
            )
        return True

    def _unusable(self, cause: OSError) -> CacheError:
        return CacheError(
            f"the cache folder {str(self._path)!r} cannot be used: {cause.strerror}; "
            "give a folder that this user may make, read and write"
        )
