"""TARGET on the command line: which file or module, and which name in it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from milo._cli.errors import CommandError

DEFAULT_NAME = "pipeline"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a pipeline is looked for: ``name`` in the file or module ``source``.

    Attributes:
        is_named: whether the name was given, and is not the one that is taken without.
    """

    source: Path | str
    name: str = DEFAULT_NAME
    is_named: bool = field(default=True, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.source}:{self.name}"


def parse_target(text: str) -> Target:
    """Read ``FILE[:name]`` or ``module[:name]``.

    A file of exactly that name wins, colons and all. Otherwise what follows the last colon
    is the name, unless it holds a path separator, as behind a drive letter. The rest is a
    file if it exists, ends in ``.py`` or holds a separator, and a module if it does not.

    Raises:
        CommandError: the name is not a Python name, or there is no file or module part.

    >>> parse_target("jobs.nightly:make")
    Target(source='jobs.nightly', name='make')
    """
    if os.path.isfile(text):
        return Target(Path(text), is_named=False)
    source, name = _split(text)
    if not source:
        raise CommandError(f"{text!r} names no file or module; expected FILE[:name] or module:name")
    if not all(part.isidentifier() for part in name.split(".")):
        raise CommandError(f"{name!r} in {text!r} is not a Python name; expected FILE[:name]")
    return Target(_file_or_module(source), name, is_named=source != text)


def _split(text: str) -> tuple[str, str]:
    source, colon, name = text.rpartition(":")
    if not colon or _has_separator(name):
        return text, DEFAULT_NAME
    return source, name


def _file_or_module(source: str) -> Path | str:
    if os.path.isfile(source) or source.endswith(".py") or _has_separator(source):
        return Path(source)
    if all(part.isidentifier() for part in source.split(".")):
        return source
    raise CommandError(f"no such file: {source}")


def _has_separator(text: str) -> bool:
    return "/" in text or "\\" in text
