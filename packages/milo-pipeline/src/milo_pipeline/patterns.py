"""Declared paths asked the other way round: not which files there are, but whether one counts."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from milo_pipeline.persistence._inputs import before_magic


class PathPattern:
    """A file, a folder or a glob as ``Cache`` has them, and the files that it stands for.

    A folder stands for everything below it, a glob for what ``input_fingerprint`` would find
    by it. Nothing has to exist: a file that has just been deleted is still one that counted.
    Paths are compared after the links in their folders have been followed.

    Attributes:
        places: where it begins: the file or folder itself, under its own name and as what it
            leads to, or the folder in which all matches of a glob are.

    >>> PathPattern("src/**/*.md").meets("src/posts/first.md")
    True
    >>> PathPattern("src").meets("srcs/first.md")
    False
    """

    __slots__ = ("_below", "places")

    def __init__(self, path: str, root: str | os.PathLike[str] = ".") -> None:
        is_glob = glob.has_magic(path) and not os.path.exists(os.path.join(root, path))
        start = before_magic(path) if is_glob else Path(path)
        begins = os.path.join(root, start)
        places = [os.path.realpath(begins)]
        if not is_glob:  # a link counts itself, beside what it leads to
            places.insert(0, place_of(begins))
        self.places: Final = tuple(dict.fromkeys(places))
        self._below: Final = Path(path).parts[len(start.parts) :] if is_glob else None

    @property
    def is_deep(self) -> bool:
        """Whether files count that are further below its place than directly in it."""
        return self._below is None or len(self._below) > 1 or "**" in self._below

    def meets(self, path: str | os.PathLike[str]) -> bool:
        """Whether the file ``path`` counts; a relative one is taken from the current folder."""
        there = Path(place_of(path))
        ways = [
            there.relative_to(place).parts for place in self.places if there.is_relative_to(place)
        ]
        return any(self._below is None or _match(way, self._below) for way in ways)


def place_of(path: str | os.PathLike[str]) -> str:
    """``path`` under the real name of its folder; a link stands for itself."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _match(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Whether a glob in parts meets a path in parts."""
    if not names:
        return all(each == "**" for each in patterns)
    if not patterns:
        return False
    visible = not names[0].startswith(".")
    if patterns[0] == "**":
        return _match(names, patterns[1:]) or (visible and _match(names[1:], patterns))
    return (
        (visible or patterns[0].startswith("."))
        and fnmatch(names[0], patterns[0])
        and _match(names[1:], patterns[1:])
    )
