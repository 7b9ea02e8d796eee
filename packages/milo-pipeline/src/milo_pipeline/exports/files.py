"""What a run leaves behind, as files: each there as a whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from errno import EACCES
from pathlib import Path

from milo_pipeline.exports.errors import ExportError
from milo_pipeline.exports.report import html_report
from milo_pipeline.exports.spans import Span
from milo_pipeline.exports.timeline import timeline_json
from milo_pipeline.exports.trace import chrome_trace
from milo_pipeline.persistence._files import write_atomically
from milo_pipeline.pipeline import Pipeline
from milo_pipeline.state import PipelineState


def write_timeline(
    path: str | os.PathLike[str],
    pipeline: Pipeline,
    state: PipelineState,
    spans: Sequence[Span],
    tracebacks: Mapping[str, str] | None = None,
) -> None:
    """Write ``timeline_json(...)``, which ``read_timeline`` and ``milo report`` read.

    Raises:
        ExportError: it cannot be written there; what was there is as it was.
    """
    document = timeline_json(pipeline, state, spans, tracebacks)
    write_text(path, json.dumps(document, allow_nan=False, indent=1) + "\n", "the timeline")


def write_trace(
    path: str | os.PathLike[str], pipeline: Pipeline, state: PipelineState, spans: Sequence[Span]
) -> None:
    """Write ``chrome_trace(...)``, which Perfetto opens.

    Raises:
        ExportError: it cannot be written there; what was there is as it was.
    """
    document = chrome_trace(pipeline, state, spans)
    write_text(path, json.dumps(document, allow_nan=False) + "\n", "the trace")


def write_report(
    path: str | os.PathLike[str],
    pipeline: Pipeline,
    state: PipelineState,
    spans: Sequence[Span],
    tracebacks: Mapping[str, str] | None = None,
) -> None:
    """Write ``html_report(...)``.

    Raises:
        ExportError: it cannot be written there; what was there is as it was.
    """
    write_text(path, html_report(pipeline, state, spans, tracebacks), "the report")


def write_text(path: str | os.PathLike[str], text: str, what: str = "the file") -> None:
    """Write ``text`` as UTF-8, in place of what was there; a pipe or device is written to.

    Raises:
        ExportError: it cannot be written there, said as ``cannot write <what> to ...``.
    """
    given, content = Path(path), text.encode("utf-8", "backslashreplace")
    try:
        if given.exists() and not given.is_file():
            given.write_bytes(content)  # /dev/stdout must not become a file
        else:
            write_atomically(given.resolve(), content)  # a link goes on pointing to the file
    except (OSError, ValueError, RuntimeError) as failure:  # a NUL in the name; a loop of links
        raise ExportError(_refusal(given, what, failure)) from failure


def check_place(path: str | os.PathLike[str], what: str = "the file") -> None:
    """Refuse before a long run what could not be written after it; nothing is written.

    A disk may still be full by then.

    Raises:
        ExportError: the folder does not exist or lets nobody write, or ``path`` is a folder.
    """
    given = Path(path)
    if given.is_dir():
        raise ExportError(_refusal(given, what, IsADirectoryError()))
    if not given.parent.is_dir():
        raise ExportError(_refusal(given, what, FileNotFoundError()))
    if not os.access(given.parent if not given.exists() or given.is_file() else given, os.W_OK):
        raise ExportError(_refusal(given, what, PermissionError(EACCES, os.strerror(EACCES))))


def _refusal(path: Path, what: str, failure: Exception) -> str:
    start = f"cannot write {what} to {str(path)!r}"
    if isinstance(failure, FileNotFoundError):
        return f"{start}: there is no folder {str(path.parent)!r}; make it first"
    if isinstance(failure, IsADirectoryError):
        return f"{start}: that is a folder; name a file in it"
    return f"{start}: {getattr(failure, 'strerror', None) or failure}"
