"""What a run looks like as a whole: immutable states that the reducer makes.

A state of 10,000 phases changes with every captured line, so it is held in pieces and
``phases`` becomes the published tuple when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from milo_pipeline._chunks import Chunks, count, flat, item_at, split
from milo_pipeline.graph import Plan
from milo_pipeline.phase_status import PhaseStatus
from milo_pipeline.statuses import COMPLETED, PENDING, UNDERWAY, PipelineStatusName

Underway: TypeAlias = "tuple[int, Underway] | None"
"""A linked list of phases that have begun, the latest first.

Its head still runs. Further down may stand phases that have ended since: they are
dropped when they come to the top, so no event has to look for them.
"""


KeptRun: TypeAlias = tuple[
    Plan | None,
    str,
    Chunks[PhaseStatus],
    Underway,
    int,
    float,
    float,
    PipelineStatusName,
    str,
]
"""Plan, name, phases, those underway, weight done, when it began, elapsed, status, error.

The plan is the one whose weights are done; ``None`` before a reducer has seen the state.
"""


class _Kept:
    """What the reducer goes by: no field, so nobody compares it."""

    __slots__ = ("_kept",)

    _kept: KeptRun


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
        _set["phases"](self, phases)
        underway = stack_of(_by_start(phases))
        times = self.started_at, self.elapsed
        kept = (None, self.name, split(phases), underway, 0, *times, self.status, self.error)
        _set_kept(self, kept)

    if not TYPE_CHECKING:  # a checker that sees __getattr__ would accept any attribute

        def __getattr__(self, name):
            """Work the fields out on first read; called only for those that are not set."""
            if name == "phases":
                phases = tuple(flat(self._kept[2]))
                _set["phases"](self, phases)  # two threads at once store equal values
            elif name in _set:
                for field, value in _fields_of(self._kept):
                    _set[field](self, value)
            else:
                raise AttributeError(f"PipelineState has no attribute {name!r}")
            return object.__getattribute__(self, name)

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
        return _restored, (published, self.error, members(self._kept[3]))

    def _phase_count(self) -> int:
        return count(self._kept[2])

    def _phase_at(self, index: int) -> PhaseStatus:
        """What ``phases[index]`` is, without putting ``phases`` together."""
        return item_at(self._kept[2], index)


# The slots' own setters: for the constructor of a frozen class, and for ``pipeline_state``.
_new = object.__new__
_set_kept = _Kept.__dict__["_kept"].__set__
_set: Final = {
    each.name: PipelineState.__dict__[each.name].__set__ for each in fields(PipelineState)
}


def pipeline_state(kept: KeptRun) -> PipelineState:
    """A state whose fields wait for their first reader (as those of ``phase_status``)."""
    state = _new(PipelineState)
    _set_kept(state, kept)
    return state


def _fields_of(kept: KeptRun) -> Iterator[tuple[str, Any]]:
    """The fields but for ``phases``, each with its value."""
    plan, name, pieces, underway, done, started_at, elapsed, status, error = kept
    total = 0 if plan is None else plan.total_weight
    yield "name", name
    yield "current_phase", "" if underway is None else item_at(pieces, underway[0]).name
    yield "started_at", started_at
    yield "elapsed", elapsed
    yield "progress", 1.0 if status == COMPLETED else done / total if total else 0.0
    yield "status", status
    yield "error", error


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
    plan, name, pieces, _, *others = state._kept
    _set_kept(state, (plan, name, pieces, stack_of(underway), *others))
    return state
