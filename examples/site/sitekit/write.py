"""The folder the site is written to: it must be ours before anything in it is replaced."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from sitekit.errors import SiteError

_MARKER = ".sitegen"
_MARKER_TEXT = "The next build replaces everything in this folder.\n"


def why_not_writable(out: Path, source: Path) -> str | None:
    """Return why a site must not be written to ``out``, or ``None`` when it may.

    A build replaces the whole folder, so it has to be new, empty, or an earlier build's,
    and it must not hold the sources.
    """
    if source.is_relative_to(out):
        return f"the site cannot be written to {out}: the source folder {source} lies in it"
    if not out.exists():
        return None
    if not out.is_dir():
        return f"the site cannot be written to {out}: it is not a folder"
    if not (out / _MARKER).exists() and any(out.iterdir()):
        return (
            f"the site cannot be written to {out}: it holds files that no earlier build "
            "wrote; name an empty or a new folder"
        )
    return None


def write(
    contents: Mapping[PurePosixPath, str | Path], out: Path, source: Path
) -> frozenset[PurePosixPath]:
    """Make ``out`` hold exactly ``contents``, text or a file to copy, and return their names.

    Raises:
        SiteError: ``out`` is not a folder that a build may replace.
        OSError: a file cannot be copied or written.
    """
    _clear(out, source)
    for name, content in contents.items():
        file = out / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, file)
        else:
            file.write_text(content, encoding="utf-8", newline="\n")
    return frozenset(contents)


def _clear(out: Path, source: Path) -> None:
    """Empty ``out`` but for the marker, which must outlive a build that is killed here."""
    if reason := why_not_writable(out, source):
        raise SiteError(reason)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARKER).write_text(_MARKER_TEXT, encoding="utf-8")
    for entry in out.iterdir():
        if entry.name == _MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
