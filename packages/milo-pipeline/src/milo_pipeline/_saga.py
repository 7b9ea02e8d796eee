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

from milo_core import Action
from milo_effects import (
    All,
    Call,
    Delay,
    EffectTimeout,
    Fork,
    Put,
    SagaCancelled,
    SagaContext,
    Timeout,
)
from milo_pipeline._cancelling import AttemptToken
from milo_pipeline._execution import Completed, Execution, Failed, LeftOut, Outcome, Skipped
from milo_pipeline._handlers import HandlerLeft, call_of, condition_of, message_of
from milo_pipeline._inbox import Arrival, Dispatcher, Inbox, Scope
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
    from milo_pipeline._memory import Memory
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

    def __init__(self, pipeline: Pipeline, plan: RunPlan, memory: Memory | None = None) -> None:
        self.execution = Execution(pipeline, plan, memory.done_before() if memory else {})
        self._memory = memory
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
            settled = execution.settled_before(index)
            if settled is not None:
                execution.note(index, settled)
                execution.settle(index)
                yield Put(_ending(execution.phase(index).name, settled))
            elif execution.phase(index).parallel:
                execution.running[index] = None  # it runs, even if a cancellation takes its task
                execution.running[index] = yield Fork(self._run_beside(index), attached=True)
            else:
                yield from self._run_alone(index)

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
                outcome = yield from self._look_up(index, phase)
            if outcome is None and self.execution.stopped:
                return  # something has failed since
            if outcome is None:
                outcome = yield from self._work(index, phase)
        except SagaCancelled:
            yield Put(phase_failed(phase.name, CANCELLED, _now()))
            raise
        self.execution.note(index, outcome)  # now, for a cancellation may come with the Put
        if self._memory is not None:
            yield Call(self._memory.keep, (phase, outcome))
        yield Put(_ending(phase.name, outcome))

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

    def _look_up(self, index: int, phase: Phase) -> Generator[Any, Any, Outcome | None]:
        """What the phase returned before when everything was as it is now, if that is known."""
        if self._memory is None or phase.cache is None:
            return None
        try:
            found = yield Call(self._memory.look_up, (phase, self.execution.context_of(index)))
        except Exception as error:  # the cache is damaged, or a declared input is not there
            return Failed(error)
        known: Outcome | None = found
        return known

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
        context: SagaContext = yield Scope()
        error: Exception
        while True:
            yield Put(report.started(attempt))
            token = AttemptToken(context)
            try:
                return Completed((yield self._call(index, phase, given, token)))
            except SagaCancelled:
                raise
            except EffectTimeout:
                token.cancel()
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

    def _call(
        self, index: int, phase: Phase, given: dict[str, Any], token: AttemptToken
    ) -> Call | Timeout:
        execution = self.execution
        given = {**execution.params_of(index), **given}
        call = call_of(phase, execution.context_of(index), given, self._output, token)
        return call if phase.timeout is None else Timeout(call, phase.timeout)


def _ending(name: str, outcome: Outcome) -> Action:
    """The last word on a phase."""
    if isinstance(outcome, Completed):
        return phase_complete(name, outcome.result, _now(), outcome.source)
    if isinstance(outcome, Skipped):
        return phase_skipped(name, message_of(outcome.error), _now())
    if isinstance(outcome, LeftOut):
        return phase_skipped(name, outcome.reason, _now())
    return phase_failed(name, message_of(outcome.error), _now())
