"""What a run looks like for one phase: its status, its times, the lines it has written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from milo_pipeline._lines import Lines, kept, lines_of
from milo_pipeline.statuses import PENDING, PhaseStatusName


@dataclass(frozen=True, slots=True)
class PhaseLog:
    """A single captured output line from a phase handler."""

    line: str
    stream: str = "stdout"
    timestamp: float = 0.0


class _KeptLines:
    """Where the lines are until somebody reads ``logs``: no field, so nobody compares it."""

    __slots__ = ("_lines",)

    _lines: Lines[PhaseLog]


@dataclass(frozen=True, slots=True)
class PhaseStatus(_KeptLines):
    """Runtime status of a single phase.

    ``started_at`` is when its first attempt began, in monotonic seconds, and ``elapsed``
    covers all attempts and the waits between them. ``attempt`` counts from 1; a phase
    that has not begun has 0. ``error`` says why the phase failed, was skipped or waits
    for its next attempt.
    """

    name: str
    status: PhaseStatusName = PENDING
    started_at: float = 0.0
    elapsed: float = 0.0
    error: str = ""
    attempt: int = 0
    logs: tuple[PhaseLog, ...] = ()

    def __post_init__(self) -> None:
        logs = tuple(self.logs)
        _set_logs(self, logs)
        _set_lines(self, lines_of(logs))

    if not TYPE_CHECKING:  # a checker that sees __getattr__ would accept any attribute

        def __getattr__(self, name):
            """Put ``logs`` together on first read; called only for attributes not set."""
            if name != "logs":
                raise AttributeError(f"PhaseStatus has no attribute {name!r}")
            logs = kept(self._lines)
            _set_logs(self, logs)  # two threads at once store equal tuples
            return logs

    def __reduce__(self) -> tuple[Any, ...]:
        return PhaseStatus, (
            self.name,
            self.status,
            self.started_at,
            self.elapsed,
            self.error,
            self.attempt,
            self.logs,
        )


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
_set_lines = _KeptLines.__dict__["_lines"].__set__


def phase_status(
    name: str,
    status: PhaseStatusName,
    started_at: float,
    elapsed: float,
    error: str,
    attempt: int,
    lines: Lines[PhaseLog],
) -> PhaseStatus:
    """A ``PhaseStatus`` whose ``logs`` wait for their first reader."""
    made = _new(PhaseStatus)
    _set_name(made, name)
    _set_status(made, status)
    _set_started_at(made, started_at)
    _set_elapsed(made, elapsed)
    _set_error(made, error)
    _set_attempt(made, attempt)
    _set_lines(made, lines)
    return made
