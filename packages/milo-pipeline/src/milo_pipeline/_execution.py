"""One run of a plan: which phases are ready, which run, what came of them.

Plain bookkeeping without effects. Scheduling is dataflow: a phase is ready the moment its
own dependencies are done (DESIGN §5). What may start is *claimed*: a phase that is not
``parallel`` by the run's own saga, which runs it alone; parallel ones stand in a line, from
which *lanes* take one after the other. A lane is a saga that runs phases until it finds none.
One lane at a time is on its way: when it has taken its first phase it sends for the next, if
the line is not empty by then. Phases that are over in no time so need no more than one.

All of it changes under one lock, which is held for a few instructions and never while
anybody else's code runs; only what came of a phase is noted by its own saga without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from milo_core._locking import first_try, wait_for
from milo_effects import SagaContext
from milo_pipeline._ready import ReadyQueue
from milo_pipeline.phase import Phase
from milo_pipeline.run_plan import RunPlan

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline


# What comes of a phase: never changed, and not frozen only because that costs twice the time.


@dataclass(slots=True)
class Completed:
    """The handler returned ``result``, now or, if there is a ``source``, in an earlier run."""

    result: Any
    source: str = ""


@dataclass(slots=True)
class Skipped:
    """The handler failed, and its policy lets the pipeline go on without it."""

    error: BaseException


@dataclass(slots=True)
class Failed:
    """The phase failed for good."""

    error: BaseException


@dataclass(slots=True)
class LeftOut:
    """The phase did not run, and was not meant to."""

    reason: str


Outcome: TypeAlias = Completed | Skipped | Failed | LeftOut


class Execution:
    """The state of one run.

    Attributes:
        results, errors: what has come of the phases so far, by name.
        failed: whether the run cannot complete any more.
        stopped: whether nothing begins any more that has not begun.
        alone: the phase that is the turn of the run's own saga.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        run_plan: RunPlan,
        done_before: Mapping[int, Outcome] = MappingProxyType({}),
    ) -> None:
        plan = pipeline.plan
        self.phases = plan.phases
        self.results: dict[str, Any] = {}
        self.errors: dict[str, BaseException] = {}
        self.failed = False
        self.stopped = False
        self.alone: int | None = None
        self._lock = Lock()
        self._take_lock = first_try(self._lock)
        self._line: deque[int] = deque()
        self._lane_is_coming = False
        """Whether a lane was asked for that has not taken its first phase."""
        self._running: dict[int, SagaContext] = {}
        self._outcomes: list[Outcome | None] = [None] * len(plan.phases)
        self._plan = plan
        self._params = run_plan.params
        self._fail_fast = run_plan.fail_fast
        self._keep_going = run_plan.keep_going
        self._missing = list(plan.dependency_count)
        left_out = {i: LeftOut(reason) for i, reason in run_plan.left_out.items()}
        self._settled: Mapping[int, Outcome] = {**left_out, **done_before}
        self._ready = ReadyQueue(plan, pipeline.resources, self._settled)

    def settled_before(self, index: int) -> Outcome | None:
        """What came of phase ``index`` without running it; ``None`` if it is to run."""
        return self._settled.get(index)

    def context_of(self, phase: Phase) -> dict[str, Any]:
        """The results of a phase's dependencies, ``None`` for a skipped one."""
        results = self.results
        return {name: results.get(name) for name in phase.depends_on}

    def params_of(self, phase: Phase) -> dict[str, Any]:
        """The parameters that a phase's handler is called with."""
        return {name: self._params[name] for name in phase.params}

    # What may start, and who runs it

    def claim(self) -> bool:
        """Claim all that may start now; whether a lane has to be started for it."""
        with self:
            self._claim()
            return self._needs_lane()

    def first(self, scope: SagaContext) -> tuple[int | None, bool]:
        """The phase that a new lane, whose context is ``scope``, begins with, if there is one.

        And whether another lane has to be started, before that phase is run.
        """
        with self:
            self._lane_is_coming = False
            return self._from_line(scope), self._needs_lane()

    def next_after(self, index: int, scope: SagaContext) -> tuple[int | None, bool]:
        """Phase ``index`` of a lane has ended: the lane's next, and whether to start a lane.

        A lane that is given no next phase ends.
        """
        if not self._take_lock():  # by hand: this is done for every phase
            wait_for(self._lock)
        try:
            self._settle(index)
            self._claim()
            following = self._from_line(scope)
            needs_lane = self._needs_lane()
        finally:
            self._lock.release()
        if self.failed:
            self._cancel_others()
        return following, needs_lane

    def end(self, index: int) -> None:
        """Phase ``index`` has ended, and whoever ran it does not take another."""
        with self:
            self._settle(index)
        if self.failed:
            self._cancel_others()

    def stop(self) -> None:
        """Nothing begins any more; what lanes have begun comes to its end.

        Called by the run's own saga, which has no phase underway.
        """
        with self:
            self._stop()
            self.alone = None

    @property
    def is_underway(self) -> bool:
        """Whether something that was claimed has not ended.

        Asked under the lock, or a lane between two phases would look as if there were none.
        """
        with self:
            return self.alone is not None or bool(self._running) or bool(self._line)

    # What came of a phase

    def note(self, index: int, outcome: Outcome) -> None:
        """Keep what came of a phase; a failure stops the rest from here on, not from its end."""
        self._outcomes[index] = outcome
        if isinstance(outcome, Failed):
            with self:
                self._fail()

    def _cancel_others(self) -> None:
        """Let a failure take along what runs; whoever hears of it, hears it without the lock."""
        if self._fail_fast:
            with self:
                doomed = list(self._running.values())
            for each in doomed:
                each.cancel_tree()

    # Under the lock, which a ``with`` of the execution takes

    def __enter__(self) -> None:
        if not self._take_lock():
            wait_for(self._lock)

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def _claim(self) -> None:
        line, ready = self._line, self._ready
        while ready.waiting and not self.stopped and self.alone is None:
            index = ready.next(something_runs=bool(line or self._running))
            if index is None:
                return
            if self.phases[index].parallel:
                line.append(index)
            else:
                self.alone = index

    def _needs_lane(self) -> bool:
        if self._lane_is_coming or not self._line:
            return False
        self._lane_is_coming = True
        return True

    def _from_line(self, scope: SagaContext) -> int | None:
        if not self._line:
            return None
        index = self._line.popleft()
        self._running[index] = scope
        return index

    def _settle(self, index: int) -> None:
        """Draw the conclusions once a phase has ended; phases behind it may have become ready.

        Nothing has come of one that was cancelled, or that a failure kept from beginning.
        """
        if index == self.alone:
            self.alone = None
        else:
            del self._running[index]
        phase = self.phases[index]
        if phase.resources:
            self._ready.give_back(index)
        outcome = self._outcomes[index]
        if isinstance(outcome, Completed):
            self.results[phase.name] = outcome.result
        elif outcome is None:
            self._fail()
            return
        elif not isinstance(outcome, LeftOut):
            self.errors[phase.name] = outcome.error
            if isinstance(outcome, Failed):
                return
        missing = self._missing
        for dependent in self._plan.dependents[index]:
            missing[dependent] -= 1
            if not missing[dependent]:
                self._ready.add(dependent)

    def _fail(self) -> None:
        self.failed = True
        if not self._keep_going:
            self._stop()

    def _stop(self) -> None:
        self.stopped = True
        self._line.clear()
