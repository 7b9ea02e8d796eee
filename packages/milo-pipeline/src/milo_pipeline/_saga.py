"""The saga that a pipeline becomes. From the whole to the part:

    run → start what is ready → run_phase → attempt

A sequential phase is a part of the run's own saga; a parallel one is forked. Both are
``run_phase``: they differ in who waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias

from milo_effects import Call, Delay, Fork, Put, SagaCancelled
from milo_pipeline._execution import Completed, Execution, Failed, Outcome, Skipped
from milo_pipeline._handlers import HandlerLeft, call_of, message_of
from milo_pipeline._inbox import Arrival, Dispatcher, Inbox
from milo_pipeline._output import Output
from milo_pipeline.actions import (
    phase_complete,
    phase_failed,
    phase_retry,
    phase_skipped,
    phase_start,
    pipeline_cancelled,
    pipeline_complete,
    pipeline_start,
)
from milo_pipeline.phase import Phase
from milo_pipeline.statuses import CANCELLED

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline

Saga: TypeAlias = Generator[Any, Any, Any]

_now = time.monotonic


def make_saga(pipeline: Pipeline) -> Callable[[], Saga]:
    """A function that returns the saga of a new run each time."""

    def saga() -> Saga:
        return Run(pipeline).saga()

    return saga


class Run:
    """One run of one pipeline. Everything here happens in its sagas."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.execution = Execution(
            pipeline.plan, fail_fast=pipeline.fail_fast, keep_going=pipeline.keep_going
        )
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
            if execution.phase(index).parallel:
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
            outcome = yield from self._attempt_until_settled(index, phase)
        except SagaCancelled:
            yield Put(phase_failed(phase.name, CANCELLED, _now()))
            raise
        self.execution.note(index, outcome)  # now, for a cancellation may come with the Put
        if isinstance(outcome, Completed):
            yield Put(phase_complete(phase.name, outcome.result, _now()))
        elif isinstance(outcome, Skipped):
            yield Put(phase_skipped(phase.name, message_of(outcome.error), _now()))
        else:
            yield Put(phase_failed(phase.name, message_of(outcome.error), _now()))

    def _attempt_until_settled(self, index: int, phase: Phase) -> Generator[Any, Any, Outcome]:
        policy, attempt = phase.policy, 1
        while True:
            yield Put(phase_start(phase.name, attempt, _now()))
            try:
                return Completed((yield self._call(index, phase)))
            except SagaCancelled:
                raise
            except HandlerLeft as left:
                return Failed(left.__cause__ or left)
            except Exception as error:  # the handler's; its policy says what follows
                if attempt >= policy.attempts:
                    return Skipped(error) if policy.on_fail == "skip" else Failed(error)
                message = message_of(error)
            except BaseException as error:  # sys.exit() and the like: no retry, no skip
                return Failed(error)
            yield Put(phase_retry(phase.name, attempt, message, policy.max_retries, _now()))
            yield Delay(policy.delay_after(attempt))
            attempt += 1

    def _call(self, index: int, phase: Phase) -> Call:
        return call_of(phase, self.execution.context_of(index), self._output)
