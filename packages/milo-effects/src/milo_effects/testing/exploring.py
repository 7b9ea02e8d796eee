"""``simulate`` and ``explore``: a workload with one seed, and with many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from milo_core import Action, Store
from milo_effects.testing.errors import SimulationError
from milo_effects.testing.simulation import MAX_STEPS, Parked, Simulation, TraceEvent

Workload: TypeAlias = Callable[[Simulation], object]

_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What has come of a simulation."""

    seed: int | None
    trace: tuple[TraceEvent, ...]
    """All that happened; equal for equal seeds."""
    stuck: tuple[Parked, ...]
    """The sagas that were parked for ever, until the stores were shut down."""
    store: Store[Any] | None
    """The first store, if there was one."""
    actions: tuple[Action, ...]
    """What was dispatched to it, before it was shut down."""
    now: float
    """The virtual time at the end."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed with which a workload fails, and how."""

    seed: int
    error: BaseException
    trace: tuple[TraceEvent, ...] = field(repr=False)

    def __str__(self) -> str:
        """The error, the end of the trace, and how to have it happen again."""
        lines = [str(event) for event in self.trace[-_SHOWN:]]
        if len(self.trace) > _SHOWN:
            lines.insert(0, f"... {len(self.trace) - _SHOWN} events before")
        reason = f"{type(self.error).__name__}: {self.error}".rstrip(": ")
        return "\n".join([f"with seed {self.seed} it fails: {reason}", *lines, self.advice])

    @property
    def advice(self) -> str:
        """How to have it happen again."""
        return f"replay with seed={self.seed}: simulate(workload, seed={self.seed})"


def simulate(
    workload: Workload,
    *,
    seed: int | None = 0,
    until: float | None = None,
    max_steps: int = MAX_STEPS,
) -> SimulationResult:
    """Let ``workload(sim)`` set a simulation up, and everything happen that follows.

    The workload may call ``sim.run()`` itself, and then assert how things have turned out.
    At the end the stores are shut down. Whatever the workload raises, or something it has
    sent ``later``, is raised, with a note that names the seed.

    Args:
        workload: calls ``sim.store(...)``, ``sim.run_saga(...)`` and the like.
        seed: chooses what happens next, wherever there is a choice.
        until: for workloads without an end: how many virtual seconds to let pass.
        max_steps: after how many happenings to give up.

    Raises:
        SimulationError: there is no end to it, or somebody blocks for ever.
    """
    sim = Simulation(seed, max_steps=max_steps)
    try:
        return _attempt(sim, workload, until)
    except BaseException as error:
        error.add_note(f"in a simulation; replay with seed={seed}")
        raise


def explore(
    workload: Workload,
    seeds: Iterable[int] = range(1000),
    *,
    until: float | None = None,
    max_steps: int = MAX_STEPS,
) -> Failure | None:
    """The first of ``seeds`` with which ``workload`` fails, ``None`` if it never does.

    Parameters are as for ``simulate``. In a test, ``assert explore(workload) is None`` shows
    the seed; ``print(failure)`` shows what happened.

    Raises:
        SimulationError: the workload fails, but not again with the same seed: something in
            it depends on more than the simulation, such as real time, or the order of a set.
    """
    for seed in seeds:
        error, _ = _outcome(workload, seed, until, max_steps, trace=False)
        if error is not None:
            again, trace = _outcome(workload, seed, until, max_steps, trace=True)
            if again is None:
                raise SimulationError(
                    f"with seed {seed} the workload failed once, and not again; something in "
                    "it depends on more than its simulation: real time, chance of its own, "
                    "the order of a set, or what an earlier run has left behind"
                ) from error
            return Failure(seed, again, tuple(trace))
    return None


def _outcome(
    workload: Workload, seed: int, until: float | None, max_steps: int, *, trace: bool
) -> tuple[BaseException | None, Sequence[TraceEvent]]:
    sim = Simulation(seed, max_steps=max_steps, trace=trace)
    try:
        _attempt(sim, workload, until)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the workload's failure, told by its ``Failure``
        return error, sim.trace
    return None, sim.trace


def _attempt(sim: Simulation, workload: Workload, until: float | None) -> SimulationResult:
    try:
        workload(sim)
        sim.run(until)
        stuck, actions = sim.stuck(), sim.actions
        sim.shutdown()
    except BaseException:
        sim.give_up()
        raise
    store = sim.stores[0] if sim.stores else None
    return SimulationResult(sim.seed, tuple(sim.trace), stuck, store, actions, sim.now)
