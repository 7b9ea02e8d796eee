"""One run of a plan: which phases are ready, which run, what came of them.

Plain bookkeeping without effects. Scheduling is dataflow: a phase is ready the moment its
own dependencies are done (DESIGN §5). Everything is changed by the run's own saga, except that
a phase's saga says when it begins and notes what came of the phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from milo_effects import SagaTask
from milo_pipeline._ready import ReadyQueue
from milo_pipeline.phase import Phase
from milo_pipeline.run_plan import RunPlan

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned ``result``, now or, if there is a ``source``, in an earlier run."""

    result: Any
    source: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """The handler failed, and its policy lets the pipeline go on without it."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Failed:
    """The phase failed for good."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The phase did not run, and was not meant to."""

    reason: str


Outcome: TypeAlias = Completed | Skipped | Failed | LeftOut

_BEGUN: Final = "begun"
_GIVEN_UP: Final = "given up"


class Execution:
    """The state of one run."""

    def __init__(
        self,
        pipeline: Pipeline,
        run_plan: RunPlan,
        done_before: Mapping[int, Outcome] = MappingProxyType({}),
    ) -> None:
        plan = pipeline.plan
        self.results: dict[str, Any] = {}
        self.errors: dict[str, BaseException] = {}
        self.failed = False
        self.running: dict[int, SagaTask | None] = {}
        self._claims: dict[int, str] = {}
        self._outcomes: list[Outcome | None] = [None] * len(plan.phases)
        self._plan = plan
        self._run_plan = run_plan
        self._fail_fast = run_plan.fail_fast
        self._keep_going = run_plan.keep_going
        self._missing = list(plan.dependency_count)
        left_out = {i: LeftOut(reason) for i, reason in run_plan.left_out.items()}
        self._settled: Mapping[int, Outcome] = {**left_out, **done_before}
        self._ready = ReadyQueue(plan, pipeline.resources, self._settled)

    @property
    def stopped(self) -> bool:
        """Whether a failure keeps everything from beginning that has not begun."""
        return self.failed and not self._keep_going

    def phase(self, index: int) -> Phase:
        """Phase number ``index`` of the plan."""
        return self._plan.phases[index]

    def next_ready(self) -> int | None:
        """The phase to start now, if one may start; see ``ReadyQueue``."""
        return None if self.stopped else self._ready.next(something_runs=bool(self.running))

    def settled_before(self, index: int) -> Outcome | None:
        """What came of phase ``index`` without running it; ``None`` if it is to run."""
        return self._settled.get(index)

    def context_of(self, index: int) -> dict[str, Any]:
        """The results of a phase's dependencies, ``None`` for a skipped one."""
        return {name: self.results.get(name) for name in self.phase(index).depends_on}

    def params_of(self, index: int) -> dict[str, Any]:
        """The parameters that a phase's handler is called with."""
        return {name: self._run_plan.params[name] for name in self.phase(index).params}

    def begins(self, index: int) -> bool:
        """Whether a forked phase may begin: it has not been given up. Said by its saga, once."""
        return self._claims.setdefault(index, _BEGUN) is _BEGUN  # atomic: one of two has it

    def give_up_waiting(self) -> None:
        """Forget the forked phases that have not begun; they never will."""
        for index in list(self.running):
            if self._claims.setdefault(index, _GIVEN_UP) is _GIVEN_UP:
                del self.running[index]

    def note(self, index: int, outcome: Outcome) -> None:
        """Keep what came of a phase; a failure stops the rest from here on, not from ``settle``.

        Many forked phases may stand in line before the run's saga has its turn again.
        """
        self._outcomes[index] = outcome
        if isinstance(outcome, Failed):
            self.failed = True

    def settle(self, index: int) -> None:
        """Draw the conclusions once a phase has ended; phases behind it may have become ready.

        Nothing has come of one that was cancelled, or that a failure kept from beginning.
        """
        self._ready.give_back(index)
        outcome = self._outcomes[index]
        if outcome is None:
            self.failed = True
            return
        name = self.phase(index).name
        if isinstance(outcome, Failed):
            self.errors[name] = outcome.error
            if self._fail_fast:
                self._cancel_running()
            return
        if isinstance(outcome, Completed):
            self.results[name] = outcome.result
        elif isinstance(outcome, Skipped):
            self.errors[name] = outcome.error
        for dependent in self._plan.dependents[index]:
            self._missing[dependent] -= 1
            if not self._missing[dependent]:
                self._ready.add(dependent)

    def _cancel_running(self) -> None:
        for task in self.running.values():
            if task is not None:
                task.cancel()
        self.give_up_waiting()
