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
    def is_glob(self) -> bool:
        """Whether it stands for some of the files below its place, and not for all."""
        return self._below is not None

    def meets(self, path: str | os.PathLike[str]) -> bool:
        """Whether the file ``path`` counts; a relative one is taken from the current folder."""
        return any(self._counts(names) for names in self._names_below(path))

    def reaches(self, path: str | os.PathLike[str]) -> bool:
        """Whether ``path``, if it is or was a folder, may hold a file that counts."""
        place = place_of(path)
        if any(f"{start}{os.sep}".startswith(f"{place}{os.sep}") for start in self.places):
            return True
        return any(
            self._below is None or _match(names, self._below, as_folder=True)
            for names in self._names_below(place)
        )

    def _counts(self, names: tuple[str, ...]) -> bool:
        return self._below is None or _match(names, self._below)

    def _names_below(self, path: str | os.PathLike[str]) -> list[tuple[str, ...]]:
        """The way from each place that ``path`` is below of, or is."""
        there = Path(place_of(path))
        return [
            there.relative_to(place).parts for place in self.places if there.is_relative_to(place)
        ]


def place_of(path: str | os.PathLike[str]) -> str:
    """``path`` under the real name of its folder; a link stands for itself."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _match(names: tuple[str, ...], patterns: tuple[str, ...], *, as_folder: bool = False) -> bool:
    """Whether a glob in parts meets a path in parts; ``as_folder``, or something below it."""
    if not names:
        return as_folder or all(each == "**" for each in patterns)
    if not patterns:
        return False
    visible = not names[0].startswith(".")
    if patterns[0] == "**":
        return _match(names, patterns[1:], as_folder=as_folder) or (
            visible and _match(names[1:], patterns, as_folder=as_folder)
        )
    return (
        (visible or patterns[0].startswith("."))
        and fnmatch(names[0], patterns[0])
        and _match(names[1:], patterns[1:], as_folder=as_folder)
    )
