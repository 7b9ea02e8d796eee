"""An error of the user's code in one line: its type, its message, the line to look at."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import FrameType

from milo_pipeline.text import one_line


def describe(error: BaseException, folder: Path) -> str:
    """``TypeName: message (file:line)``, where the line is the deepest one in ``folder``."""
    message, where = one_line(_message_of(error)), place_of(error, folder)
    named = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"{named} ({where})" if where else named


def place_of(error: BaseException, folder: Path) -> str:
    """``file:line`` of the deepest frame in ``folder``'s own code, else of the deepest at all.

    Installed packages below ``folder`` do not count as its own, Milo's frames never count.
    A syntax error is where the parser stopped. Empty when there is no frame to speak of.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not _is_machinery(frame)
    ]
    own = [frame for frame in frames if _belongs_to(folder, frame[0])]
    for filename, line in reversed(own or frames):
        return f"{_short(filename)}:{line}"
    return ""


def _message_of(error: BaseException) -> str:
    """The parser's own words: ``str`` of a syntax error repeats file and line."""
    return error.msg if isinstance(error, SyntaxError) else str(error)


def _is_machinery(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    imports = frame.f_code.co_filename.startswith("<frozen ") or package == "importlib"
    return imports or package == "milo" or package.startswith("milo_")


def _belongs_to(folder: Path, filename: str) -> bool:
    path = Path(filename).resolve()
    return path.is_relative_to(folder) and "site-packages" not in path.parts


def _short(filename: str) -> str:
    """Relative to the current folder where that is below it, as people type it."""
    try:
        return str(Path(filename).resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename
