"""The saga that a pipeline becomes. From the whole to the part:

    run → start what is ready → run_phase → (each item →) attempt

A sequential phase is a part of the run's own saga; a parallel one is forked. Both are
``run_phase``: they differ in who waits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from milo_effects import All, Call, Delay, EffectTimeout, Fork, Put, SagaCancelled, Timeout
from milo_pipeline._execution import Completed, Execution, Failed, LeftOut, Outcome, Skipped
from milo_pipeline._handlers import HandlerLeft, call_of, condition_of, message_of
from milo_pipeline._inbox import Arrival, Dispatcher, Inbox
from milo_pipeline._mapped import Mapped
from milo_pipeline._output import Output
from milo_pipeline._reports import ItemReport, Report
from milo_pipeline.actions import (
    phase_complete,
    phase_failed,
    phase_mapped,
    phase_skipped,
    phase_start,
    pipeline_cancelled,
    pipeline_complete,
    pipeline_start,
)
from milo_pipeline.errors import PhaseTimeout, PipelineError
from milo_pipeline.phase import Phase
from milo_pipeline.run_plan import RunPlan
from milo_pipeline.statuses import CANCELLED

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline

Saga: TypeAlias = Generator[Any, Any, Any]

_now = time.monotonic


def make_saga(pipeline: Pipeline, plan: RunPlan) -> Callable[[], Saga]:
    """A function that returns the saga of a new run each time."""

    def saga() -> Saga:
        return Run(pipeline, plan).saga()

    return saga


class Run:
    """One run of one pipeline. Everything here happens in its sagas."""

    def __init__(self, pipeline: Pipeline, plan: RunPlan) -> None:
        self.execution = Execution(pipeline, plan)
        self._random = random.Random()
        self._captures = pipeline.capture_output
        self._output: Output | None = None
        self._ended: Inbox[tuple[int, Exception | None]] = Inbox()

    def saga(self) -> Saga:
        """The whole run. Returns ``True`` if every phase was completed or skipped."""
        dispatch = yield Dispatcher()
        if self._captures:
            self._output = Output(dispatch)
        try:
            yield from self._run_and_conclude()
        except GeneratorExit:  # a handler has outlasted the store's patience: no more effects
            dispatch(pipeline_cancelled(_now()))
            raise
        finally:
            if self._output is not None:
                self._output.close()
        return not self.execution.failed

    def _run_and_conclude(self) -> Saga:
        try:
            yield Put(pipeline_start(_now()))
            yield from self._run_phases()
        except SagaCancelled:
            self.execution.give_up_waiting()
            yield from self._wait_for_running()
            yield Put(pipeline_cancelled(_now()))
            raise
        if not self.execution.failed:
            yield Put(pipeline_complete(_now()))

    def _run_phases(self) -> Saga:
        """Start phases as they become ready, until none is left or a failure stops them."""
        while True:
            yield from self._start_ready()
            if not self.execution.running:
                return
            yield from self._wait_for_one()

    def _start_ready(self) -> Saga:
        execution = self.execution
        while (index := execution.next_ready()) is not None:
            if execution.reason_to_leave_out(index) is not None:
                yield from self._leave_out(index)
            elif execution.phase(index).parallel:
                execution.running[index] = None  # it runs, even if a cancellation takes its task
                execution.running[index] = yield Fork(self._run_beside(index), attached=True)
            else:
                yield from self._run_alone(index)

    def _leave_out(self, index: int) -> Saga:
        reason = self.execution.reason_to_leave_out(index) or ""
        self.execution.note(index, LeftOut(reason))
        self.execution.settle(index)
        yield Put(phase_skipped(self.execution.phase(index).name, reason, _now()))

    def _run_alone(self, index: int) -> Saga:
        fault: Exception | None = None
        try:
            yield from self._run_phase(index)
        except Exception as error:  # not the handler's: the store has refused an action
            fault = error
        finally:
            self._settle(index, fault)
        yield from self._tell(index, fault)

    def _run_beside(self, index: int) -> Saga:
        """The saga of a forked phase; however it ends, the run's saga hears of it."""
        if not self.execution.begins(index):
            return
        fault: Exception | None = None
        try:
            yield from self._run_phase(index)
        except Exception as error:  # as above
            fault = error
        finally:
            self._ended.put((index, fault))

    def _wait_for_one(self) -> Saga:
        """Wait until a forked phase has ended, and settle it."""
        while (ended := self._ended.take()) is None:
            yield Arrival(self._ended)
        index, fault = ended
        del self.execution.running[index]
        self._settle(index, fault)
        yield from self._tell(index, fault)

    def _settle(self, index: int, fault: Exception | None) -> None:
        if fault is not None:
            self.execution.note(index, Failed(fault))
        self.execution.settle(index)

    def _tell(self, index: int, fault: Exception | None) -> Saga:
        """Say that a phase has failed which could not say so itself."""
        if fault is not None:
            yield Put(phase_failed(self.execution.phase(index).name, message_of(fault), _now()))

    def _wait_for_running(self) -> Saga:
        """After a cancellation, in the scope of the cleanup: let what runs come to its end."""
        while self.execution.running:
            yield from self._wait_for_one()

    def _run_phase(self, index: int) -> Saga:
        """One phase with all its attempts; the last thing it does is say how it ended."""
        if self.execution.stopped:
            return
        phase = self.execution.phase(index)
        try:
            outcome = yield from self._ask_whether(index, phase)
            if outcome is None:
                outcome = yield from self._work(index, phase)
        except SagaCancelled:
            yield Put(phase_failed(phase.name, CANCELLED, _now()))
            raise
        self.execution.note(index, outcome)  # now, for a cancellation may come with the Put
        if isinstance(outcome, Completed):
            yield Put(phase_complete(phase.name, outcome.result, _now()))
        elif isinstance(outcome, Skipped):
            yield Put(phase_skipped(phase.name, message_of(outcome.error), _now()))
        elif isinstance(outcome, LeftOut):
            yield Put(phase_skipped(phase.name, outcome.reason, _now()))
        else:
            yield Put(phase_failed(phase.name, message_of(outcome.error), _now()))

    def _ask_whether(self, index: int, phase: Phase) -> Generator[Any, Any, Outcome | None]:
        """What comes of a phase whose condition keeps it from running; ``None`` if it runs."""
        if phase.when is None:
            return None
        try:
            holds = yield condition_of(phase, self.execution.context_of(index))
        except SagaCancelled:
            raise
        except BaseException as error:  # the condition's; there is no policy for it
            return Failed(error)
        return None if holds else LeftOut("its condition does not hold")

    def _work(self, index: int, phase: Phase) -> Generator[Any, Any, Outcome]:
        """What comes of a phase: of its one handler call, or of one for each of its items."""
        if phase.map_over is None:
            return (yield from self._attempt_until_settled(index, phase, Report(phase), {}))
        found = self.execution.results.get(phase.map_over)
        yield Put(phase_start(phase.name, 1, _now()))
        try:
            items = [] if found is None else list(found)
        except TypeError:
            return Failed(
                PipelineError(f"map_over: {phase.map_over!r} gave {found!r:.100}, which is no list")
            )
        yield Put(phase_mapped(phase.name, len(items), _now()))
        work = Mapped(len(items))
        sagas = [partial(self._run_item, index, phase, work, i, items[i]) for i in work.numbers]
        yield All(tuple(sagas))
        return work.outcome()

    def _run_item(self, index: int, phase: Phase, work: Mapped, number: int, item: Any) -> Saga:
        """The saga of one item; it begins unless something has failed for good."""
        if work.failed or self.execution.stopped:
            return
        report, given = ItemReport(phase, number), {"item": item}
        try:
            outcome = yield from self._attempt_until_settled(index, phase, report, given)
        except SagaCancelled:
            yield Put(report.cancelled())
            raise
        work.note(number, outcome)
        yield Put(report.ended(outcome))

    def _attempt_until_settled(
        self, index: int, phase: Phase, report: Report, given: dict[str, Any]
    ) -> Generator[Any, Any, Outcome]:
        policy, attempt = phase.policy, 1
        error: Exception
        while True:
            yield Put(report.started(attempt))
            try:
                return Completed((yield self._call(index, phase, given)))
            except SagaCancelled:
                raise
            except EffectTimeout:
                error = PhaseTimeout(f"it did not return within {phase.timeout:g} s")
            except HandlerLeft as left:
                return Failed(left.__cause__ or left)
            except Exception as raised:  # the handler's; its policy says what follows
                error = raised
            except BaseException as raised:  # sys.exit() and the like: no retry, no skip
                return Failed(raised)
            if attempt >= policy.attempts:
                return Skipped(error) if policy.on_fail == "skip" else Failed(error)
            yield Put(report.retrying(attempt, error))
            yield Delay(policy.wait_after(attempt, self._random))
            attempt += 1

    def _call(self, index: int, phase: Phase, given: dict[str, Any]) -> Call | Timeout:
        execution = self.execution
        given = {**execution.params_of(index), **given}
        call = call_of(phase, execution.context_of(index), given, self._output)
        return call if phase.timeout is None else Timeout(call, phase.timeout)
