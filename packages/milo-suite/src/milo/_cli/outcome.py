"""What a run came to, and the closing words about it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from typing import TYPE_CHECKING

from milo._cli.errors import Exit
from milo_pipeline import PhaseStatus, PipelineState
from milo_pipeline.text import counted, in_words, one_line, printable

if TYPE_CHECKING:
    from milo_pipeline.exports import CriticalStep

_MOST_LISTED = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run.

    Attributes:
        state: the last state; ``None`` when the run was stopped before it began.
        errors: the last exception of each phase that failed or was skipped.
        blocked: for each phase that never began, which failed phases were in its way.
        last_phase: the last phase in execution order.
        interrupted: the exit code of the signal that stopped the run, 0 if none did.
        critical: the chain of phases that decided when the run ended, where that is told.
    """

    state: PipelineState | None
    errors: Mapping[str, BaseException] = field(default_factory=dict)
    blocked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    last_phase: str = ""
    interrupted: int = 0
    critical: tuple[CriticalStep, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 completed, 1 a phase failed, 2 its cache did, 130 (or 128 + signal) interrupted."""
        if self.interrupted:
            return self.interrupted
        if self.state is not None and self.state.status == "completed":
            return Exit.DONE
        return Exit.USAGE if _cache_failed(self.errors) else Exit.PHASE_FAILED


def closing_lines(outcome: Outcome) -> list[str]:
    """The summary: how it ended, every error, what was left out, the last phase's last line."""
    state = outcome.state
    if state is None:
        return ["interrupted before anything ran"]
    if outcome.interrupted:
        verdict = [_interrupted_line(state)]
    elif state.status == "completed":
        verdict = [_completed_line(state)]
    else:
        verdict = _failed_lines(state, outcome.errors)
    without = [*_skipped_lines(state, outcome.errors), *_never_began(outcome)]
    return [*verdict, *without, *_time_lines(outcome), *_parting_line(state, outcome.last_phase)]


def _cache_failed(errors: Mapping[str, BaseException]) -> bool:
    """Whether a phase failed because its cached result cannot be trusted: bad input, no bad work.

    Only then can it be seen, for what is looked up depends on the results of other phases.
    """
    if not errors:
        return False
    from milo_pipeline.persistence import CacheError  # with SQLite, which most runs go without

    return any(isinstance(error, CacheError) for error in errors.values())


def _completed_line(state: PipelineState) -> str:
    """With how many phases there were, how many of them did not run, and why not.

    A source is a word of whoever supplied the result, and there are as many as suppliers.
    """
    skipped, sources = _count(state)["skipped"], Counter(each.source for each in state.phases)
    told = [counted(len(state.phases), "phase")]
    told += [f"{n} from {one_line(source)}" for source, n in sources.items() if source]
    told += [f"{skipped} skipped"] if skipped else []
    return f"{one_line(state.name)} completed in {in_words(state.elapsed)} ({', '.join(told)})"


def _failed_lines(state: PipelineState, errors: Mapping[str, BaseException]) -> list[str]:
    failed = _reasons(state, "failed", errors)
    start = f"{one_line(state.name)} failed in {in_words(state.elapsed)}"
    if len(failed) == 1:
        return [f"{start}: {failed[0]}"]
    if not failed:
        return [f"{start}: {one_line(state.error)}"]
    return [f"{start}: {len(failed)} phases failed", *_listed(failed)]


def _skipped_lines(state: PipelineState, errors: Mapping[str, BaseException]) -> list[str]:
    skipped = _reasons(state, "skipped", errors)
    if len(skipped) == 1:
        return [f"skipped: {skipped[0]}"]
    return ["skipped:", *_listed(skipped)] if skipped else []


def _reasons(state: PipelineState, status: str, errors: Mapping[str, BaseException]) -> list[str]:
    return [
        f"{one_line(phase.name)}: {_reason(phase, errors.get(phase.name))}"
        for phase in state.phases
        if phase.status == status
    ]


def _listed(lines: list[str]) -> list[str]:
    unlisted = len(lines) - _MOST_LISTED
    shown = [f"  {line}" for line in lines[:_MOST_LISTED]]
    return [*shown, f"  and {unlisted} more"] if unlisted > 0 else shown


def _interrupted_line(state: PipelineState) -> str:
    count = _count(state)
    done = count["completed"] + count["skipped"]
    of_all = f"{done} of {counted(len(state.phases), 'phase')} done"
    return f"{one_line(state.name)} interrupted after {in_words(state.elapsed)} ({of_all})"


def _never_began(outcome: Outcome) -> list[str]:
    if not outcome.blocked:
        return []
    listed = [
        f"{one_line(name)} (blocked by {', '.join(map(one_line, by))})" if by else one_line(name)
        for name, by in list(outcome.blocked.items())[:_MOST_LISTED]
    ]
    unlisted = len(outcome.blocked) - len(listed)
    more = f" and {unlisted} more" if unlisted else ""
    return [f"never began: {', '.join(listed)}{more}"]


def _time_lines(outcome: Outcome) -> list[str]:
    """Where the time went, for runs that take long enough to be asked about."""
    if outcome.state is None or not outcome.critical:
        return []
    steps = [f"{one_line(step.phase)} {in_words(step.elapsed)}" for step in outcome.critical]
    if len(steps) > _MOST_LISTED:
        steps = [*steps[:4], f"{len(steps) - 7} more", *steps[-3:]]
    longest = nlargest(3, outcome.state.phases, key=lambda phase: phase.elapsed)
    slowest = [f"{one_line(phase.name)} {in_words(phase.elapsed)}" for phase in longest]
    return [f"critical path: {', '.join(steps)}", f"slowest: {', '.join(slowest)}"]


def _parting_line(state: PipelineState, last_phase: str) -> list[str]:
    """The last line the last phase printed, so that a build may end by saying where it lies."""
    last = next((phase for phase in state.phases if phase.name == last_phase), None)
    if last is None or last.status != "completed":
        return []
    printed = [log.line for log in last.logs if log.stream == "stdout" and printable(log.line)]
    return [printable(printed[-1])] if printed else []


def _reason(phase: PhaseStatus, error: BaseException | None) -> str:
    message = one_line(phase.error)
    if error is None:
        return message or "no reason given"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _count(state: PipelineState) -> Counter[str]:
    return Counter(phase.status for phase in state.phases)
