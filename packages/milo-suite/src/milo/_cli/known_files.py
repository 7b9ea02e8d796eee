"""Which files there were, to tell from what a watcher says which of them have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import PurePath

from watchfiles import Change, DefaultFilter

from milo._cli.watcher import Batch, Roots


class KnownFiles:
    """The files in what is watched, and the contents of those that have changed since.

    Without them nobody knows that a folder which is gone held files, or that a file which is
    gone came only a moment before, as editors make one to try whether they can. And a phase
    that writes into the folder in which it is watched would run for ever: each of its runs
    changes a file, if only to the same again.
    """

    def __init__(self) -> None:
        self._contents: dict[str, str] = {}

    def look_at(self, roots: Roots) -> None:
        """Learn of the files that are in ``roots``."""
        for tree in roots.trees:
            self._learn(_files_below(tree))
        for folder in roots.folders:
            self._learn(entry.path for entry in _entries(folder) if not entry.is_dir())

    def concerned(self, batch: Batch) -> set[str]:
        """The files that ``batch`` is about.

        A folder that is new stands for the files in it, some of which may not have been told
        of; one that is gone or replaced stands for those that were.
        """
        added = {path for change, path in batch if change == Change.added}
        files: set[str] = set()
        replaced: set[str] = set()
        for path in {path for _, path in batch}:
            if os.path.isdir(path):
                if path in added:
                    replaced.add(path)
            elif os.path.lexists(path) or path in self._contents:
                files.add(path)
            else:
                replaced.add(path)
        for folder in replaced:
            if replaced.isdisjoint(_folders_of(folder)):
                files.update(_files_below(folder))
        if replaced:
            files.update(
                file for file in self._contents if not replaced.isdisjoint(_folders_of(file))
            )
        return files

    def is_new(self, file: str) -> bool:
        """Whether the file is another one than at the last call; at the first, whether it is."""
        before, now = self._contents.pop(file, None), _content(file)
        if now is not None:
            self._contents[file] = now
        return before != now

    def _learn(self, files: Iterable[str]) -> None:
        for file in files:
            self._contents.setdefault(file, "")


def is_passed_over(way: str) -> bool:
    """Whether a name in a relative path says that nobody means it: ``.git``, ``x.md~``."""
    return not _filter()(Change.modified, way)


@cache
def _filter() -> DefaultFilter:
    """What watchfiles passes over by default, and what is of our making."""
    folders = (".milo", ".nox", ".hatch", ".ruff_cache", "venv")
    return DefaultFilter(
        ignore_dirs=(*DefaultFilter.ignore_dirs, *folders),
        ignore_entity_patterns=(*DefaultFilter.ignore_entity_patterns, r"\.milo-new$"),
    )


def _files_below(folder: str) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_passed_over(name)]
        yield from (os.path.join(here, name) for name in names)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # gone, or not for us to read; then nothing is known of it
        return []


def _folders_of(path: str) -> list[str]:
    return [os.fspath(folder) for folder in PurePath(path).parents]


def _content(file: str) -> str | None:
    """A hash of what is in the file; what cannot be read is known by its kind alone."""
    if not os.path.lexists(file):
        return None
    try:
        if not os.path.isfile(file):  # reading a pipe may wait for ever
            return "no file"
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "blake2b").hexdigest()
    except OSError as failure:
        return f"unreadable: {failure.errno}"
