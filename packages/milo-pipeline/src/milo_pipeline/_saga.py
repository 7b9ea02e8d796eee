"""The saga that a pipeline becomes. From the whole to the part:

    run → lanes → run_phase → (each item →) attempt

A sequential phase is a part of the run's own saga. Parallel ones are run by *lanes*, forked
sagas that go on with the next phase when one has ended, so that most phases cost no saga of
their own. Both are ``run_phase``.
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
    Buffer,
    Call,
    Channel,
    Delay,
    EffectTimeout,
    Fork,
    Put,
    SagaCancelled,
    SagaContext,
    SagaTask,
    Take,
    Timeout,
)
from milo_pipeline._cancelling import AttemptToken
from milo_pipeline._execution import Completed, Execution, Failed, LeftOut, Outcome, Skipped
from milo_pipeline._handlers import (
    HandlerLeft,
    call_handler,
    condition_of,
    message_of,
    wants_context,
)
from milo_pipeline._mapped import Mapped
from milo_pipeline._output import Output
from milo_pipeline._reports import ItemReport, Report
from milo_pipeline._scopes import Dispatcher, Scope
from milo_pipeline.actions import (
    phase_complete,
    phase_failed,
    phase_log,
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
_BRISK = 100e-6
"""Seconds within which a phase is over that is better not run beside another such phase.

Two threads would wait for each other, for the store and for the GIL, longer than it takes.
"""


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
        self._bell = Channel(Buffer(1, "drop-newest"), name=f"bell of {pipeline.name}")
        """Rings for the run's saga; it stays rung while nobody listens."""
        self._faults: list[Exception] = []
        """What the store refused of lanes, so that they could not even say that they failed."""

    def saga(self) -> Saga:
        """The whole run. Returns ``True`` if every phase was completed or skipped."""
        dispatch = yield Dispatcher()
        if self._captures:
            self._output = Output(dispatch, None if self._memory is None else self._memory.hear)
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
            self.execution.stop()
            while self.execution.is_underway:  # in the scope of the cleanup
                yield Take(self._bell)
            yield Put(pipeline_cancelled(_now()))
            raise
        if not self.execution.failed:
            yield Put(pipeline_complete(_now()))

    def _run_phases(self) -> Saga:
        """Start a lane, run the phases that run alone, until nothing more can start."""
        execution = self.execution
        scope: SagaContext = yield Scope()
        while True:
            if execution.claim():
                yield Fork(self._lane, attached=True)
            if execution.alone is not None:
                yield from self._run_alone(execution.alone, scope)
            elif execution.is_underway:
                yield Take(self._bell)
            else:
                break
        if self._faults:
            raise self._faults[0]

    def _run_alone(self, index: int, scope: SagaContext) -> Saga:
        try:
            yield from self._run_phase(index, scope)
        finally:
            self.execution.end(index)

    def _lane(self) -> Saga:
        """The saga that runs parallel phases, one after the other, for as long as there are some.

        It rings when the run's saga has something to do: a phase that runs alone, the end.
        """
        execution = self.execution
        scope: SagaTask = yield Scope()
        index, needs_lane = execution.first(scope)
        try:
            while index is not None:
                if needs_lane:
                    yield Fork(self._lane, attached=True)
                begun = _now()
                yield from self._run_phase(index, scope)
                if _now() - begun < _BRISK:
                    scope.pulse += 1
                index, needs_lane = execution.next_after(index, scope)
        except Exception as fault:
            self._faults.append(fault)
        finally:
            if index is not None:  # it was cancelled, and the phase with it
                execution.end(index)
            if execution.alone is not None or not execution.is_underway:
                self._bell.put(None)

    def _run_phase(self, index: int, scope: SagaContext) -> Saga:
        """One phase with all its attempts; the last thing it does is say how it ended."""
        execution = self.execution
        phase = execution.phases[index]
        if execution.stopped:
            return
        try:
            try:
                settled = outcome = execution.settled_before(index)
                if outcome is None and phase.when is not None:
                    outcome = yield from self._ask_whether(phase)
                if outcome is None and phase.cache is not None:
                    outcome = yield from self._look_up(phase)
                if outcome is None and not execution.stopped:
                    if phase.map_over is None:
                        outcome = yield from self._attempt(phase, scope, Report(phase), {})
                    else:
                        outcome = yield from self._run_items(phase, phase.map_over)
            except SagaCancelled:
                yield Put(phase_failed(phase.name, CANCELLED, _now()))
                raise
            if outcome is None:
                return  # something has failed since it was its turn
            execution.note(index, outcome)  # now, for a cancellation may come with the Put
            if self._memory is not None and settled is None:
                yield Call(self._memory.keep, (phase, outcome))
            yield Put(_ending(phase.name, outcome))
        except Exception as fault:  # not the handler's: the store has refused an action
            execution.note(index, Failed(fault))
            yield Put(phase_failed(phase.name, message_of(fault), _now()))

    def _ask_whether(self, phase: Phase) -> Generator[Any, Any, Outcome | None]:
        """What comes of a phase whose condition keeps it from running; ``None`` if it runs."""
        try:
            holds = yield condition_of(phase, self.execution.context_of(phase))
        except SagaCancelled:
            raise
        except BaseException as error:  # the condition's; there is no policy for it
            return Failed(error)
        return None if holds else LeftOut("its condition does not hold")

    def _look_up(self, phase: Phase) -> Generator[Any, Any, Outcome | None]:
        """What the phase returned before when everything was as it is now, if that is known."""
        if self._memory is None:
            return None
        try:
            found = yield Call(self._memory.look_up, (phase, self.execution.context_of(phase)))
        except Exception as error:  # the cache is damaged, or a declared input is not there
            return Failed(error)
        known: Outcome | None = found
        if known is not None and self._output is not None:
            for said in self._memory.said_before(phase.name):
                yield Put(phase_log(phase.name, said.line, said.stream, _now()))
        return known

    def _run_items(self, phase: Phase, map_over: str) -> Generator[Any, Any, Outcome]:
        """What comes of a phase whose handler is called for each item of a list."""
        found = self.execution.results.get(map_over)
        yield Put(phase_start(phase.name, 1, _now()))
        try:
            items = [] if found is None else list(found)
        except TypeError:
            return Failed(
                PipelineError(f"map_over: {map_over!r} gave {found!r:.100}, which is no list")
            )
        yield Put(phase_mapped(phase.name, len(items), _now()))
        work = Mapped(len(items))
        sagas = [partial(self._run_item, phase, work, i, items[i]) for i in work.numbers]
        yield All(tuple(sagas))
        return work.outcome()

    def _run_item(self, phase: Phase, work: Mapped, number: int, item: Any) -> Saga:
        """The saga of one item; it begins unless something has failed for good."""
        scope: SagaContext = yield Scope()
        if work.failed or self.execution.stopped:
            return
        report, given = ItemReport(phase, number), {"item": item}
        try:
            outcome = yield from self._attempt(phase, scope, report, given)
        except SagaCancelled:
            yield Put(report.cancelled())
            raise
        work.note(number, outcome)
        yield Put(report.ended(outcome))

    def _attempt(
        self, phase: Phase, scope: SagaContext, report: Report, given: dict[str, Any]
    ) -> Generator[Any, Any, Outcome]:
        """What comes of a handler that is called until it returns, or its policy has enough."""
        policy, attempt = phase.policy, 1
        error: Exception
        while True:
            yield Put(report.started(attempt))
            token = AttemptToken(scope)
            try:
                return Completed((yield self._call(phase, given, token)))
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

    def _call(self, phase: Phase, given: dict[str, Any], token: AttemptToken) -> Call | Timeout:
        execution = self.execution
        if phase.params:
            given = {**execution.params_of(phase), **given}
        if wants_context(phase.handler):
            given = {"context": execution.context_of(phase), **given}
        call = Call(call_handler, (phase, given, self._output, token))
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
