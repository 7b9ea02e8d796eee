"""Which Markdown files a folder holds, and the HTML file each one becomes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from sitekit.errors import SiteError

INDEX = PurePosixPath("index.html")

_MARKDOWN = frozenset({".md", ".markdown"})
_INDEX_NAMES = frozenset({"readme", "index"})
_IGNORED_FOLDERS = frozenset({"node_modules", "build", "dist", "venv", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Sources:
    """The Markdown files below ``root``, each with the HTML file it becomes.

    Paths are relative to the source folder and to the site, and use ``/`` everywhere.
    A folder's index page comes before its other pages, a folder before those inside it.
    """

    root: Path
    targets: Mapping[PurePosixPath, PurePosixPath]


def discover(root: Path, out: Path) -> Sources:
    """Return the Markdown files below ``root``; ``out`` and ignored folders are not entered.

    Raises:
        SiteError: there are none, or two of them would become the same HTML file.
        OSError: a folder cannot be listed.
    """
    targets = _assign_targets(_walk(root, out))
    if not targets:
        raise SiteError(f"no Markdown files (*.md) in {root}")
    return Sources(root, dict(sorted(targets.items(), key=_reading_order)))


def is_markdown(path: PurePosixPath) -> bool:
    """Whether ``path`` has the name of a Markdown file."""
    return path.suffix.lower() in _MARKDOWN


def _walk(root: Path, out: Path) -> Iterator[PurePosixPath]:
    for folder, subfolders, files in os.walk(root, onerror=_refuse):
        here = Path(folder)
        # A folder called "notes.md" is listed as a page too: parsing it says what is wrong,
        # which is better than a page that is silently missing.
        for name in [*subfolders, *files]:
            path = PurePosixPath((here / name).relative_to(root).as_posix())
            if is_markdown(path) and not name.startswith("."):
                yield path
        subfolders[:] = [name for name in subfolders if _is_entered(here / name, out)]


def _is_entered(folder: Path, out: Path) -> bool:
    name = folder.name
    ignored = name.startswith(".") or name in _IGNORED_FOLDERS or is_markdown(PurePosixPath(name))
    return not ignored and folder != out


def _refuse(error: OSError) -> NoReturn:
    """Raise what ``os.walk`` would swallow: half a folder must not pass for a whole one."""
    raise error


def _assign_targets(found: Iterable[PurePosixPath]) -> dict[PurePosixPath, PurePosixPath]:
    owners: dict[PurePosixPath, PurePosixPath] = {}
    for source in sorted(found):
        target = _target(source)
        owner = owners.setdefault(target, source)
        if owner != source:
            raise SiteError(f"{owner} and {source} would both become {target}; rename one of them")
    return {source: target for target, source in owners.items()}


def _target(source: PurePosixPath) -> PurePosixPath:
    if source.stem.lower() in _INDEX_NAMES:
        return source.with_name(INDEX.name)
    return source.with_suffix(".html")


def _reading_order(
    entry: tuple[PurePosixPath, PurePosixPath],
) -> tuple[tuple[str, ...], bool, str]:
    source, target = entry
    return source.parent.parts, target.name != INDEX.name, source.name
