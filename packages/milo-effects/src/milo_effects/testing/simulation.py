"""``Simulation``: stores and sagas on one thread and virtual time, in an order from a seed.

The runner, the handlers and the stores are the real ones. What is simulated is what they
share with the rest of the world: the queue of ready sagas, the clock, the event loop, and
other threads (``_scheduling``, ``clock``, ``_looping``, ``_errands``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, NamedTuple, TypeAlias

from milo_core import Action, StateError, Store
from milo_core._locking import holds
from milo_core.journal import Mark
from milo_core.runtime import RuntimeHost
from milo_effects.context import SagaContext
from milo_effects.registry import EffectRegistry
from milo_effects.runtime import SagaRuntime
from milo_effects.task import SagaTask
from milo_effects.testing._choices import Choices
from milo_effects.testing._describing import describe, name_of
from milo_effects.testing._errands import Errands
from milo_effects.testing._interrupting import InterruptedRegistry
from milo_effects.testing._looping import SimulatedLoop
from milo_effects.testing._scheduling import SimulatedScheduler
from milo_effects.testing._tracing import Tracer
from milo_effects.testing._world import World
from milo_effects.testing.errors import SimulationStuck

Reducer: TypeAlias = Callable[[Any, Action], Any]

MAX_STEPS = 100_000
MAX_WORKERS = 4
"""How many sagas can be in the midst of a turn, for stores that name no number."""


class TraceEvent(NamedTuple):
    """One line of a trace."""

    at: float
    """The virtual time."""
    saga: str
    """Who: ``saga-<n>``, counted in its simulation, or ``outside``."""
    event: str

    def __str__(self) -> str:
        return f"{self.at:9.3f}  {self.saga:<9} {self.event}"


class Parked(NamedTuple):
    """A saga that waits for something that can no longer happen."""

    saga: str
    effect: Any
    """What it has yielded and got no answer for."""

    def __str__(self) -> str:
        return f"{self.saga} waits at {describe(self.effect)}"


class Simulation:
    """A world for a workload to set up and to let happen.

    Nothing in it happens by itself: what is ready, due or on its way happens during ``run``,
    and while somebody in it blocks (``task.result()``, ``store.wait_idle()``).

    Args:
        seed: chooses what happens next, wherever there is a choice. With ``None`` there is
            none: first come, first served.
        max_steps: after how many happenings a simulation without an end is given up.
        trace: whether ``trace`` is kept.
    """

    def __init__(
        self, seed: int | None = 0, *, max_steps: int = MAX_STEPS, trace: bool = True
    ) -> None:
        if seed is not None and type(seed) is not int:
            raise TypeError(f"a seed is an int, was given {seed!r:.200}")
        self.seed = seed
        self.trace: list[TraceEvent] = []
        """What has happened so far. Of equal seeds it is equal, in any process."""
        self._choices = Choices(seed)
        self.random: Random = self._choices.another("workload")
        """Chance for the workload's own use, from the same seed."""
        self._world = World(self._choices, max_steps)
        self._world.new_clock()
        self._world.parked = self._parked_text
        self._errands = Errands(self._world, self._note)
        self._monitors = (Tracer(self._note),) if trace else ()
        self._stores: list[Store[Any]] = []
        self._runtimes: list[SagaRuntime] = []
        self._schedulers: list[SimulatedScheduler] = []
        self._waits: dict[SagaTask, object] = {}
        self._actions: list[Action] = []

    # Setting up

    def store(
        self,
        reducer: Reducer | None = None,
        initial_state: Any = None,
        *,
        registry: EffectRegistry | None = None,
        **options: Any,
    ) -> Store[Any]:
        """A store whose sagas run here; the first is the one that the methods here mean.

        ``options`` are those of ``Store``; without a reducer the state stays as it is. A
        store made elsewhere runs here with ``Store(..., runtime=sim.runtime)``.
        """
        runtime = partial(self.runtime, registry=registry)
        noting = self._noting(reducer or _unchanged) if not self._stores else reducer
        made: Store[Any] = Store(noting or _unchanged, initial_state, runtime=runtime, **options)
        self._stores.append(made)
        return made

    def runtime(self, host: RuntimeHost, *, registry: EffectRegistry | None = None) -> SagaRuntime:
        """The factory of runtimes whose sagas run here, for ``Store(runtime=sim.runtime)``."""
        workers = host.max_workers or MAX_WORKERS
        runtime = SagaRuntime(
            replace(host, max_workers=workers, put=_outside_reducers(host)),
            registry=InterruptedRegistry(registry or EffectRegistry(), self._world, self._wait),
            clock=self._world.new_clock(),
            loop=SimulatedLoop(self._world),
            scheduler=self._new_scheduler,
            random=self._choices.another("sagas"),
            monitors=self._monitors,
        )
        self._runtimes.append(runtime)
        return runtime

    def run_saga(self, saga: Any, **options: Any) -> SagaTask:
        """Start ``saga`` in the first store; as ``store.run_saga``."""
        task: SagaTask = self._first().run_saga(saga, **options)
        return task

    def dispatch(self, action: Action, at: float | None = None) -> None:
        """Have another thread dispatch ``action``, at any time or at time ``at``."""
        self._send([(f"dispatches {describe(action)}", partial(self._dispatch, action))], at)

    def cancel(self, context: SagaContext, at: float | None = None) -> None:
        """Have another thread cancel a saga, or a context, at any time or at time ``at``."""
        self._send([(f"cancels {describe(context)}", context.cancel_tree)], at)

    def later(
        self, *steps: Callable[[], object], at: float | None = None, blocking: bool = False
    ) -> None:
        """Have another thread call functions one after the other, other things between them.

        The first is called at any time, or when it is ``at``. What they raise ends the
        simulation. Steps that block until sagas have come to some point are ``blocking``:
        they are not called in the midst of a saga's turn, which they might wait for.
        """
        for step in steps:
            if not callable(step):
                raise TypeError(
                    f"sim.later takes functions without arguments, was given {step!r:.200}; "
                    "write sim.later(lambda: channel.put(1))"
                )
        self._send([(f"calls {name_of(step)}", step) for step in steps], at, blocking)

    # Letting it happen

    @property
    def now(self) -> float:
        """The virtual time."""
        return self._world.now

    def run(self, seconds: float | None = None) -> None:
        """Let everything happen, until nothing can any more or until ``seconds`` have passed.

        Raises:
            SimulationError: there is no end to it.
        """
        self._world.check_thread()
        self._world.run(seconds)

    def sleep(self, seconds: float) -> None:
        """Block for so many seconds at least, for functions that are called by ``Call``.

        Other things happen meanwhile. As on a real worker, the saga keeps its worker.
        """
        due = self.now + seconds
        timer = self._world.clocks[0].call_later(seconds, int)
        try:
            self._world.run_until(lambda: self.now >= due, None)
        finally:
            timer.cancel()

    # Looking at it

    @property
    def stores(self) -> tuple[Store[Any], ...]:
        """The stores that ``store`` has made."""
        return tuple(self._stores)

    @property
    def actions(self) -> tuple[Action, ...]:
        """Every action that the first store's reducer has accepted, after ``@@INIT``."""
        return tuple(self._actions[1:])

    @property
    def tasks(self) -> tuple[SagaTask, ...]:
        """Every saga that was ever started, in order."""
        return tuple(task for scheduler in self._schedulers for task in scheduler.tasks)

    def stuck(self) -> tuple[Parked, ...]:
        """The sagas that have not ended, with what they wait for; after ``run``, for ever."""
        return tuple(
            Parked(task.saga_id, self._waits.get(task)) for task in self.tasks if not task.done()
        )

    # Ending

    def shutdown(self) -> None:
        """Shut every store down, as ``store.shutdown()``; of those made elsewhere the runtime."""
        for store in self._stores:
            store.shutdown()
        for runtime in self._runtimes:
            runtime.shutdown()

    def give_up(self) -> None:
        """Shut down after a failure, perhaps one in the midst of a shutdown.

        Nothing is raised, for the failure is what is to be told of. Generators that do not
        come to an end are closed.
        """
        self._world.give_up()
        self.shutdown()
        for runtime in self._runtimes:
            runtime.runner.close_all()
            runtime.runner.wait_ended(None)
            runtime.clock.close()
            runtime.loop.close()

    def _first(self) -> Store[Any]:
        if not self._stores:
            raise StateError("this simulation has no store yet; call sim.store(reducer, state)")
        return self._stores[0]

    def _dispatch(self, action: Action) -> None:
        self._first().dispatch(action)

    def _send(
        self,
        steps: list[tuple[str, Callable[[], object]]],
        at: float | None,
        blocking: bool = False,
    ) -> None:
        self._errands.send(steps, at, blocking)

    def _new_scheduler(self, run: Any, on_fault: Any, max_workers: int) -> SimulatedScheduler:
        scheduler = SimulatedScheduler(self._world, run, on_fault, max_workers)
        self._schedulers.append(scheduler)
        return scheduler

    def _noting(self, reducer: Reducer) -> Reducer:
        def noting(state: Any, action: Action) -> Any:
            answer = reducer(state, action)
            self._actions.append(action)
            return answer

        return noting

    def _note(self, saga: str, event: str) -> None:
        if self._monitors:
            self.trace.append(TraceEvent(self._world.now, saga, event))

    def _wait(self, task: SagaTask, effect: object) -> None:
        self._waits[task] = effect

    def _parked_text(self) -> str:
        return "; ".join(map(str, self.stuck())) or "no saga is left"


def _outside_reducers(host: RuntimeHost) -> Callable[[Action, Mark], None]:
    """``host.put``, which elsewhere waits for a reducer that waits for the saga: both for ever."""

    def put(action: Action, mark: Mark) -> None:
        if holds(host.lock):
            raise SimulationStuck(
                f"{action!r} is put while a reducer or a Take predicate blocks until a saga has "
                "come to some point. It holds the store meanwhile, so that outside a simulation "
                "neither would go on; have the reducer return ReducerResult(state, sagas=...)"
            )
        host.put(action, mark)

    return put


def _unchanged(state: Any, action: Action) -> Any:
    return state
