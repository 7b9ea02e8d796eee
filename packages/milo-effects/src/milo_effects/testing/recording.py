"""``record_run``: what a saga did, as data to compare.

The saga runs in a simulation: with the real runner and a real store, on virtual time, so a
delay of an hour takes none, and nothing is left to chance.

>>> from milo_core import Action
>>> from milo_effects import Call, Delay, Put, Take
>>> def charge(cart):
...     raise NotImplementedError("no test pays")
>>> def checkout():
...     order = yield Take("ORDER")
...     receipt = yield Call(charge, (order.payload,))
...     yield Delay(3600)
...     yield Put(Action("PAID", receipt))
...     return receipt
>>> run = record_run(
...     checkout, actions=[Action("ORDER", "tea")], provide=[(Call(charge, ("tea",)), "receipt 7")]
... )
>>> run.effects[1:]
(Call(fn=<function charge at ...>, args=('tea',), kwargs={}), Delay(seconds=3600), Put(...))
>>> run.steps[0] == Step(Take("ORDER"), Sent(Action("ORDER", "tea")))
True
>>> run.actions
(Action(type='ORDER', payload='tea'), Action(type='PAID', payload='receipt 7'))
>>> run.result
'receipt 7'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from milo_core import Action, StateError
from milo_effects.monitors import SagaMonitor, install_monitor
from milo_effects.registry import EffectRegistry, Handler
from milo_effects.task import SagaTask
from milo_effects.testing._describing import name_of
from milo_effects.testing.simulation import MAX_STEPS, Reducer, Simulation


@dataclass(frozen=True, slots=True)
class Sent:
    """An effect's answer: ``value`` was sent to the saga."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Thrown:
    """An effect's answer: ``error`` was thrown into the saga.

    Equal to another one of an error of the same class with the same arguments.
    """

    error: BaseException

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thrown) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(type(self.error))

    def _facts(self) -> tuple[type, tuple[Any, ...]]:
        return type(self.error), self.error.args


class _Unanswered(Enum):
    UNANSWERED = "unanswered"

    def __repr__(self) -> str:
        return self.name


UNANSWERED: Final = _Unanswered.UNANSWERED
"""The saga waits for the effect's answer for ever, or was cancelled before there was one."""

Answer: TypeAlias = Sent | Thrown | _Unanswered


class Step(NamedTuple):
    """An effect that a saga has yielded, and its answer."""

    effect: Any
    answer: Answer


@dataclass(slots=True)
class RecordedSaga:
    """What one saga did."""

    name: str
    """What its function is called."""
    steps: list[Step] = field(default_factory=list)
    was_cancelled: bool = False
    """Whether ``SagaCancelled`` was thrown into it."""
    ended: bool = False
    error: BaseException | None = None
    """What it ended with, if not by returning."""
    _value: Any = None

    @property
    def effects(self) -> tuple[Any, ...]:
        """What it has yielded, in order."""
        return tuple(step.effect for step in self.steps)

    @property
    def result(self) -> Any:
        """What it returned.

        Raises:
            StateError: it has not ended: it waits for ever.
            BaseException: what it ended with instead.
        """
        if not self.ended:
            raise StateError(
                f"the saga {self.name} has not ended and has no result; it waits at "
                f"{self.steps[-1].effect!r:.200}. Was an action missing?"
            )
        if self.error is not None:
            raise self.error
        return self._value


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What came of a run; its own attributes are those of the saga that was run."""

    saga: RecordedSaga
    sagas: tuple[RecordedSaga, ...]
    """It and every other that was started meanwhile, in the order of their first steps."""
    actions: tuple[Action, ...]
    """Everything that was dispatched."""
    state: Any
    """The store's state at the end."""
    seconds: float
    """How much virtual time it took."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """What the saga has yielded, each with its answer."""
        return tuple(self.saga.steps)

    @property
    def effects(self) -> tuple[Any, ...]:
        """What the saga has yielded."""
        return self.saga.effects

    @property
    def result(self) -> Any:
        """What the saga returned; raises as ``RecordedSaga.result`` does."""
        return self.saga.result

    @property
    def error(self) -> BaseException | None:
        """What the saga ended with, if not by returning."""
        return self.saga.error


def record_run(
    saga: Any,
    *,
    reducer: Reducer | None = None,
    state: Any = None,
    actions: Iterable[Action] = (),
    provide: Iterable[tuple[Any, Any]] = (),
    registry: EffectRegistry | None = None,
    seed: int | None = None,
    until: float | None = None,
    max_steps: int = MAX_STEPS,
) -> RecordedRun:
    """Run ``saga`` until nothing can happen any more, and return what it did.

    What waits for ever then is cancelled, which is no part of the record.

    Args:
        saga: a generator, or a function that returns one.
        reducer, state: those of the store; without them the state stays ``None``.
        actions: are dispatched one after the other, each when all sagas wait.
        provide: pairs of an effect and what to answer for one that is equal to it, instead
            of carrying it out: a value, or ``Thrown(error)``.
        registry: the handlers, if not the built-in ones and those of installed plugins.
        seed: for an order chosen by it, see ``simulate``.
        until: how many virtual seconds to let pass, for sagas that never come to an end.
        max_steps: after how many happenings to give up.

    Raises:
        StateError: ``saga`` is no saga.
        SimulationError: there is no end to it.
    """
    sim = Simulation(seed, max_steps=max_steps, trace=False)
    recorder = _Recorder()
    try:
        providing = _Providing(registry or EffectRegistry(), list(provide))
        store = sim.store(reducer, state, registry=providing)
        undo = install_monitor(store, recorder)
        task = sim.run_saga(saga)
        for action in actions:
            sim.run(0)
            store.dispatch(action)
        sim.run(until)
        undo()
        run = RecordedRun(
            recorder.sagas[task], tuple(recorder.sagas.values()), sim.actions, store.state, sim.now
        )
        sim.shutdown()
    except BaseException:
        sim.give_up()
        raise
    return run


class _Recorder(SagaMonitor):
    """Keeps what every saga does."""

    def __init__(self) -> None:
        self.sagas: dict[SagaTask, RecordedSaga] = {}

    def saga_started(self, task: SagaTask, started_by: SagaTask | None) -> None:
        self.sagas[task] = RecordedSaga(name_of(task.generator))

    def effect_yielded(self, task: SagaTask, effect: object) -> None:
        self.sagas[task].steps.append(Step(effect, UNANSWERED))

    def effect_answered(self, task: SagaTask, effect: object, value: object) -> None:
        self._answer(task, Sent(value))

    def effect_failed(self, task: SagaTask, effect: object, error: BaseException) -> None:
        self._answer(task, Thrown(error))

    def saga_cancelled(self, task: SagaTask) -> None:
        self.sagas[task].was_cancelled = True

    def saga_ended(self, task: SagaTask) -> None:
        saga = self.sagas[task]
        saga.ended, saga.error = True, task.error
        saga._value = task.value if task.error is None else None

    def _answer(self, task: SagaTask, answer: Answer) -> None:
        steps = self.sagas[task].steps
        steps[-1] = Step(steps[-1].effect, answer)


class _Providing(EffectRegistry):
    """The handlers of another registry, except for effects whose answers are given."""

    def __init__(self, registry: EffectRegistry, provided: list[tuple[Any, Any]]) -> None:
        self._inner = registry
        self._provided = provided
        self.keepers = registry.keepers

    def find(self, effect: object) -> Handler:
        inner = self._inner.find(effect)
        if not any(type(given) is type(effect) for given, _ in self._provided):
            return inner

        def provided(effect: Any, task: Any, store: Any) -> Any:
            for given, answer in self._provided:
                if given == effect:
                    if isinstance(answer, Thrown):
                        raise answer.error
                    return answer
            return inner(effect, task, store)

        return provided
