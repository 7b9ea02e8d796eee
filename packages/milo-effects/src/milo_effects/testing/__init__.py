"""milo_effects.testing: testing sagas, one at a time and all at once.

stepping      ``stepping``: a saga by hand, effect by effect, with no store
clock         ``VirtualClock``: time that passes only when it is told to
recording     ``record_run``: what a saga did, as data to compare
exploring     ``simulate``, ``explore``: a workload with one seed, and with many
simulation    ``Simulation``: what a workload is given to set up and to let happen
errors        ``SimulationError`` and ``SimulationStuck``
_world        what can happen next, and letting one thing of it happen
_choices      chance, and all of it from one seed
_scheduling, _looping, _errands, _interrupting    what is put in place of the real world
_tracing, _describing    what has happened, in words that are the same in every process

Nothing in milo_effects imports this package, so it costs those who do not test nothing.
"""

from milo_effects.testing.clock import VirtualClock
from milo_effects.testing.errors import SimulationError, SimulationStuck
from milo_effects.testing.exploring import Failure, SimulationResult, explore, simulate
from milo_effects.testing.recording import (
    UNANSWERED,
    RecordedRun,
    RecordedSaga,
    Sent,
    Step,
    Thrown,
    record_run,
)
from milo_effects.testing.simulation import Parked, Simulation, TraceEvent
from milo_effects.testing.stepping import Stepper, stepping

__all__ = [
    "UNANSWERED",
    "Failure",
    "Parked",
    "RecordedRun",
    "RecordedSaga",
    "Sent",
    "Simulation",
    "SimulationError",
    "SimulationResult",
    "SimulationStuck",
    "Step",
    "Stepper",
    "Thrown",
    "TraceEvent",
    "VirtualClock",
    "explore",
    "record_run",
    "simulate",
    "stepping",
]
