"""What a run looks like as a whole: immutable states that the reducer makes.

A state of 10,000 phases changes with every captured line, so it is held in pieces and
``phases`` becomes the published tuple when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from milo_pipeline._chunks import Chunks, count, flat, item_at, split
from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.statuses import PENDING, UNDERWAY, PipelineStatusName

Underway: TypeAlias = "tuple[int, Underway] | None"
"""A linked list of phases that have begun, the latest first.

Its head still runs. Further down may stand phases that have ended since: they are
dropped when they come to the top, so no event has to look for them.
"""


class _Kept:
    """What the reducer keeps beside the published fields: no field, so nobody compares it."""

    __slots__ = ("_done_weight", "_pieces", "_plan", "_underway")

    _pieces: Chunks[PhaseStatus]
    _underway: Underway
    _plan: Plan | None  # whose weights the next is a sum of; None before a reducer has seen it
    _done_weight: int


@dataclass(frozen=True, slots=True)
class PipelineState(_Kept):
    """Observable state for a running pipeline.

    ``phases`` stand in the order of their declaration. ``current_phase`` is the most
    recently begun phase that has not ended (one that waits for its next attempt has
    not), ``""`` when there is none. ``progress`` is the weight of completed and skipped
    phases over the weight of all. ``error`` is ``"cancelled"`` or that of the first
    failure.

    Equal states have equal fields, however they were made. States can be copied,
    pickled and changed with ``dataclasses.replace``.
    """

    name: str
    phases: tuple[PhaseStatus, ...] = ()
    current_phase: str = ""
    started_at: float = 0.0
    elapsed: float = 0.0
    progress: float = 0.0
    status: PipelineStatusName = PENDING
    _: KW_ONLY
    error: str = ""

    def __post_init__(self) -> None:
        phases = tuple(self.phases)
        _set_phases(self, phases)
        _set_pieces(self, split(phases))
        _set_underway(self, stack_of(_by_start(phases)))
        _set_plan(self, None)

    if not TYPE_CHECKING:  # a checker that sees __getattr__ would accept any attribute

        def __getattr__(self, name):
            """Put ``phases`` together on first read; called only for attributes not set."""
            if name != "phases":
                raise AttributeError(f"PipelineState has no attribute {name!r}")
            phases = tuple(flat(self._pieces))
            _set_phases(self, phases)  # two threads at once store equal tuples
            return phases

    def __reduce__(self) -> tuple[Any, ...]:
        published = (
            self.name,
            self.phases,
            self.current_phase,
            self.started_at,
            self.elapsed,
            self.progress,
            self.status,
        )
        return _restored, (published, self.error, members(self._underway))

    def _phase_count(self) -> int:
        return count(self._pieces)

    def _phase_at(self, index: int) -> PhaseStatus:
        """What ``phases[index]`` is, without putting ``phases`` together."""
        return item_at(self._pieces, index)


# The slots' own setters: for the constructor of a frozen class, and for ``advanced``, where
# going through the constructor or ``object.__setattr__`` would be half the cost of an event.
_new = object.__new__
_set_name = PipelineState.__dict__["name"].__set__
_set_phases = PipelineState.__dict__["phases"].__set__
_set_current_phase = PipelineState.__dict__["current_phase"].__set__
_set_started_at = PipelineState.__dict__["started_at"].__set__
_set_elapsed = PipelineState.__dict__["elapsed"].__set__
_set_progress = PipelineState.__dict__["progress"].__set__
_set_status = PipelineState.__dict__["status"].__set__
_set_error = PipelineState.__dict__["error"].__set__
_set_pieces = _Kept.__dict__["_pieces"].__set__
_set_underway = _Kept.__dict__["_underway"].__set__
_set_plan = _Kept.__dict__["_plan"].__set__
_set_done_weight = _Kept.__dict__["_done_weight"].__set__


def advanced(
    plan: Plan,
    name: str,
    pieces: Chunks[PhaseStatus],
    underway: Underway,
    done_weight: int,
    started_at: float,
    elapsed: float,
    progress: float,
    status: PipelineStatusName,
    error: str,
) -> PipelineState:
    """A state from what the reducer keeps; ``phases`` waits for its first reader."""
    state = _new(PipelineState)
    _set_name(state, name)
    _set_current_phase(state, "" if underway is None else item_at(pieces, underway[0]).name)
    _set_started_at(state, started_at)
    _set_elapsed(state, elapsed)
    _set_progress(state, progress)
    _set_status(state, status)
    _set_error(state, error)
    _set_pieces(state, pieces)
    _set_underway(state, underway)
    _set_plan(state, plan)
    _set_done_weight(state, done_weight)
    return state


def stack_of(indexes: Iterable[int]) -> Underway:
    """The list whose head is the last of ``indexes``."""
    underway: Underway = None
    for index in indexes:
        underway = (index, underway)
    return underway


def members(underway: Underway) -> list[int]:
    """The indexes in ``underway``, the head last: ``stack_of`` undoes it."""
    indexes = []
    while underway is not None:
        index, underway = underway
        indexes.append(index)
    return indexes[::-1]


def _by_start(phases: tuple[PhaseStatus, ...]) -> list[int]:
    running = [i for i, phase in enumerate(phases) if phase.status in UNDERWAY]
    return sorted(running, key=lambda i: phases[i].started_at)


def _restored(published: tuple[Any, ...], error: str, underway: list[int]) -> PipelineState:
    """A pickled or copied state; which of two phases began last does not show in their times."""
    state = PipelineState(*published, error=error)
    _set_underway(state, stack_of(underway))
    return state
