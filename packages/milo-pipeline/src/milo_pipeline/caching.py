"""What a phase says of itself so that it may be left out: what it reads, what it writes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Final

from milo_pipeline._checks import refuse_unless_count
from milo_pipeline.errors import DefinitionError

DEFAULT_CACHE: Final = ".milo/cache"
"""Where results are kept when a phase wants that and the run does not say where."""


@dataclass(frozen=True, slots=True)
class Cache:
    """What a phase reads and writes, so that it can be left out while neither has changed.

    ``inputs`` and ``outputs`` are files, folders and globs. A phase is left out if its code,
    parameters, inputs and dependencies are those of an earlier run, and its outputs are there
    as that run left them. Give another ``version`` when something else has changed that the
    result depends on: a function of another module, a tool, a service.

    Raises:
        DefinitionError: a field that cannot be meant.

    >>> Cache(inputs=["src/**/*.md"], outputs=["build/site.html"])
    Cache(inputs=('src/**/*.md',), outputs=('build/site.html',), version=0)
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    version: int = 0

    def __post_init__(self) -> None:
        refuse_unless_count("Cache", "version", self.version)
        object.__setattr__(self, "inputs", _paths("inputs", self.inputs))
        object.__setattr__(self, "outputs", _paths("outputs", self.outputs))


def _paths(field: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str | os.PathLike):
        path = os.fspath(given)
        raise DefinitionError(
            f"Cache: {field} takes paths, not one path; write {field}=({path!r},)"
        )
    if not isinstance(given, Iterable):
        raise DefinitionError(f"Cache: {field} takes paths, not {given!r}")
    paths = [_path(field, each) for each in given]
    return tuple(sorted(paths) if isinstance(given, Set) else dict.fromkeys(paths))


def _path(field: str, given: object) -> str:
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(path, str) or not path:
        raise DefinitionError(f"Cache: {field} takes paths as text, not {given!r}")
    return path
