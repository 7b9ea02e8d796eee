"""What a run looks like for one phase: its status, its times, the lines it has written."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from milo_pipeline._chunks import Chunks, flat, split
from milo_pipeline._lines import Lines, kept, lines_of
from milo_pipeline.statuses import PENDING, PhaseStatusName


@dataclass(frozen=True, slots=True)
class PhaseLog:
    """A single captured output line from a phase handler."""

    line: str
    stream: str = "stdout"
    timestamp: float = 0.0


class _Kept:
    """Where lines and items are until somebody reads them: no fields, so nobody compares them."""

    __slots__ = ("_lines", "_pieces")

    _lines: Lines[PhaseLog]
    _pieces: Chunks[PhaseStatus]


@dataclass(frozen=True, slots=True)
class PhaseStatus(_Kept):
    """Runtime status of a single phase.

    ``started_at`` is when its first attempt began, in monotonic seconds, and ``elapsed``
    covers all attempts and the waits between them. ``attempt`` counts from 1; a phase
    that has not begun has 0. ``error`` says why the phase failed, was skipped or waits
    for its next attempt. ``logs_dropped`` counts the lines before those in ``logs`` that
    ``max_logs`` has not kept.

    ``items`` are the statuses of a phase with ``map_over``, one for each item, in their
    order, named ``render[0]`` and so on. Their logs are those of the phase.
    """

    name: str
    status: PhaseStatusName = PENDING
    started_at: float = 0.0
    elapsed: float = 0.0
    error: str = ""
    attempt: int = 0
    logs: tuple[PhaseLog, ...] = ()
    _: KW_ONLY
    items: tuple[PhaseStatus, ...] = ()
    logs_dropped: int = 0

    def __post_init__(self) -> None:
        logs, items = tuple(self.logs), tuple(self.items)
        _set_logs(self, logs)
        _set_lines(self, lines_of(logs))
        _set_items(self, items)
        _set_pieces(self, split(items))

    if not TYPE_CHECKING:  # a checker that sees __getattr__ would accept any attribute

        def __getattr__(self, name):
            """Put ``logs`` or ``items`` together on first read; they are not set before."""
            if name == "logs":
                logs = kept(self._lines)
                _set_logs(self, logs)  # two threads at once store equal tuples
                return logs
            if name == "items":
                items = tuple(flat(self._pieces))
                _set_items(self, items)
                return items
            raise AttributeError(f"PhaseStatus has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        published = (
            self.name,
            self.status,
            self.started_at,
            self.elapsed,
            self.error,
            self.attempt,
            self.logs,
        )
        return _restored, (published, self.items, self.logs_dropped)


def _restored(
    published: tuple[Any, ...], items: tuple[PhaseStatus, ...], logs_dropped: int
) -> PhaseStatus:
    return PhaseStatus(*published, items=items, logs_dropped=logs_dropped)


# The slots' own setters: for the constructor of a frozen class, and for ``phase_status``,
# because going through the constructor would be a third of the cost of an event.
_new = object.__new__
_set_name = PhaseStatus.__dict__["name"].__set__
_set_status = PhaseStatus.__dict__["status"].__set__
_set_started_at = PhaseStatus.__dict__["started_at"].__set__
_set_elapsed = PhaseStatus.__dict__["elapsed"].__set__
_set_error = PhaseStatus.__dict__["error"].__set__
_set_attempt = PhaseStatus.__dict__["attempt"].__set__
_set_logs = PhaseStatus.__dict__["logs"].__set__
_set_lines = _Kept.__dict__["_lines"].__set__
_set_items = PhaseStatus.__dict__["items"].__set__
_set_logs_dropped = PhaseStatus.__dict__["logs_dropped"].__set__
_set_pieces = _Kept.__dict__["_pieces"].__set__


def phase_status(
    name: str,
    status: PhaseStatusName,
    started_at: float,
    elapsed: float,
    error: str,
    attempt: int,
    lines: Lines[PhaseLog],
    logs_dropped: int,
    pieces: Chunks[PhaseStatus],
) -> PhaseStatus:
    """A ``PhaseStatus`` whose ``logs`` and ``items`` wait for their first reader."""
    made = _new(PhaseStatus)
    _set_name(made, name)
    _set_status(made, status)
    _set_started_at(made, started_at)
    _set_elapsed(made, elapsed)
    _set_error(made, error)
    _set_attempt(made, attempt)
    _set_lines(made, lines)
    _set_logs_dropped(made, logs_dropped)
    _set_pieces(made, pieces)
    return made
