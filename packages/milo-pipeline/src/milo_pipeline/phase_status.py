"""What a run looks like for one phase: its status, its times, the lines it has written."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from milo_pipeline._chunks import Chunks, flat, split
from milo_pipeline._lines import Lines, kept, lines_of
from milo_pipeline.statuses import PENDING, PhaseStatusName


@dataclass(frozen=True, slots=True)
class PhaseLog:
    """A single captured output line from a phase handler."""

    line: str
    stream: str = "stdout"
    timestamp: float = 0.0


KeptPhase: TypeAlias = tuple[
    str,
    PhaseStatusName,
    float,
    float,
    str,
    int,
    Lines[PhaseLog],
    int,
    "Chunks[PhaseStatus]",
    str,
]
"""Name, status, when it began, elapsed, error, attempt, lines, how many were dropped, items,
and where its result came from."""


_new = object.__new__
_set_line = PhaseLog.__dict__["line"].__set__
_set_stream = PhaseLog.__dict__["stream"].__set__
_set_timestamp = PhaseLog.__dict__["timestamp"].__set__


def phase_line(line: str, stream: str, timestamp: float) -> PhaseLog:
    """A ``PhaseLog``, at half the price of its constructor: there is one for every line."""
    made = _new(PhaseLog)
    _set_line(made, line)
    _set_stream(made, stream)
    _set_timestamp(made, timestamp)
    return made


class _Kept:
    """What the reducer goes by: no field, so nobody compares it."""

    __slots__ = ("_kept",)

    _kept: KeptPhase

    @property
    def _lines(self) -> Lines[PhaseLog]:
        return self._kept[6]

    @property
    def _pieces(self) -> Chunks[PhaseStatus]:
        return self._kept[8]


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

    ``source`` says where the result of a completed phase came from if not from its handler:
    ``"cache"``, ``"checkpoint"``, or another word of whoever had it.
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
    source: str = ""

    def __post_init__(self) -> None:
        logs, items = tuple(self.logs), tuple(self.items)
        _set["logs"](self, logs)
        _set["items"](self, items)
        plain = self.name, self.status, self.started_at, self.elapsed, self.error, self.attempt
        _set_kept(self, (*plain, lines_of(logs), self.logs_dropped, split(items), self.source))

    if not TYPE_CHECKING:  # a checker that sees __getattr__ would accept any attribute

        def __getattr__(self, name):
            """Work the fields out on first read; called only for those that are not set."""
            if name == "logs":
                _set["logs"](self, kept(self._kept[6]))  # two threads at once store equal values
            elif name == "items":
                _set["items"](self, tuple(flat(self._kept[8])))
            elif name in _set:
                for field, value in zip(_PLAIN, self._kept, strict=True):
                    if field in _set:
                        _set[field](self, value)
            else:
                raise AttributeError(f"PhaseStatus has no attribute {name!r}")
            return object.__getattribute__(self, name)

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
        return _restored, (published, self.items, self.logs_dropped, self.source)


def _restored(
    published: tuple[Any, ...], items: tuple[PhaseStatus, ...], logs_dropped: int, source: str
) -> PhaseStatus:
    return PhaseStatus(*published, items=items, logs_dropped=logs_dropped, source=source)


# The slots' own setters: for the constructor of a frozen class, and for ``phase_status``.
_set_kept = _Kept.__dict__["_kept"].__set__
_set: Final = {each.name: PhaseStatus.__dict__[each.name].__set__ for each in fields(PhaseStatus)}
_PLAIN: Final = (
    *("name", "status", "started_at", "elapsed", "error", "attempt"),
    *("lines", "logs_dropped", "pieces", "source"),
)
"""The names of what is kept; of lines and pieces the fields are made when they are read."""


def phase_status(kept: KeptPhase) -> PhaseStatus:
    """A ``PhaseStatus`` whose fields wait for their first reader.

    Most states are followed by another before anybody has looked at them, and setting the
    fields is most of what making one costs.
    """
    made = _new(PhaseStatus)
    _set_kept(made, kept)
    return made


_NO_LINES: Final[Lines[PhaseLog]] = lines_of(())
_NO_ITEMS: Final[Chunks[PhaseStatus]] = split(())


def pending(name: str) -> PhaseStatus:
    """The status of a phase, or item, that has not begun."""
    return phase_status((name, PENDING, 0.0, 0.0, "", 0, _NO_LINES, 0, _NO_ITEMS, ""))
