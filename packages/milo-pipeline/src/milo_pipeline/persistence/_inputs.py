"""Files by their content: which there are, under which names, and what is in them."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from milo_pipeline.persistence._values import digest
from milo_pipeline.persistence.errors import FingerprintError

_new_hash = partial(hashlib.blake2b, digest_size=32)


def input_fingerprint(
    paths: Iterable[str | os.PathLike[str]], root: str | os.PathLike[str] = "."
) -> str:
    """A hash of the names and contents of all files that ``paths`` stand for, in any order.

    A path is a file, a folder with all files below it, or a glob as ``src/**/*.md`` (``**``
    is any number of folders; names that begin with a dot are met only by patterns that do).
    Paths are relative to ``root``, and so are the names that count: the same tree elsewhere
    has the same fingerprint. A glob may meet nothing as long as the folder it starts in
    exists. Times, owners, permissions and empty folders do not count; a link counts as what
    it leads to, but a link to a folder, met below another folder, as where it leads.

    Raises:
        FingerprintError: a path that is not there, or a file that cannot be read.
    """
    base = Path(root)
    found: dict[str, Path] = {}
    for path in paths:
        for file in _files_of(os.fspath(path), base):
            found[_name(file, base)] = file
    parts = ((name, _content(found[name])) for name in sorted(found))
    # Names that are no valid text (POSIX allows any bytes) stand with escapes, as JSON has them.
    return digest(*(json.dumps(part) for part in parts))


def _name(file: Path, base: Path) -> str:
    plain = Path(os.path.normpath(file))
    start = Path(os.path.normpath(base))
    return (plain.relative_to(start) if plain.is_relative_to(start) else plain).as_posix()


def _files_of(path: str, base: Path) -> Iterator[Path]:
    try:
        mode = (base / path).stat().st_mode
    except OSError as cause:
        if not glob.has_magic(path):
            raise _missing(path, base, cause.strerror) from cause
        yield from _matches(path, base)
        return
    if S_ISDIR(mode):
        yield from _below(base / path)
    else:
        yield base / path


def _matches(pattern: str, base: Path) -> Iterator[Path]:
    start = before_magic(pattern)
    if not (base / start).is_dir():
        raise _missing(pattern, base, f"there is no folder {start.as_posix()!r}")
    for match in glob.iglob(pattern, root_dir=base, recursive=True):
        if not (base / match).is_dir():
            yield base / match


def before_magic(pattern: str) -> Path:
    """The folder in which all matches of ``pattern`` are."""
    start = Path()
    for part in Path(pattern).parts:
        if glob.has_magic(part):
            return start
        start /= part
    return start


def _below(folder: Path) -> Iterator[Path]:
    """All files below ``folder``, and the links to folders, which are not followed."""
    for here, folders, files in os.walk(folder, onerror=_raise):
        links = [name for name in folders if os.path.islink(os.path.join(here, name))]
        yield from (Path(here, name) for name in [*files, *links])


def _raise(cause: OSError) -> None:
    raise _unreadable(str(cause.filename), cause) from cause


def _content(file: Path) -> str:
    """A word for the kind of the file, and what is in it."""
    try:
        if file.is_symlink() and not file.is_file():
            return f"link {os.readlink(file)}"
        if not S_ISREG(file.stat().st_mode):  # reading a pipe may wait for ever
            raise FingerprintError(
                f"the input {str(file)!r} is neither a file nor a folder; leave it out of inputs"
            )
        with open(file, "rb") as opened:
            return f"file {hashlib.file_digest(opened, _new_hash).hexdigest()}"
    except OSError as cause:
        raise _unreadable(str(file), cause) from cause


def _missing(path: str, base: Path, why: str | None) -> FingerprintError:
    return FingerprintError(
        f"the input {path!r} is not there ({why}); paths are taken from {str(base.absolute())!r}"
    )


def _unreadable(path: str, cause: OSError) -> FingerprintError:
    return FingerprintError(f"the input {path!r} cannot be read: {cause.strerror}")
