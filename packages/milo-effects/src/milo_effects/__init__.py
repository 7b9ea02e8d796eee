"""milo-effects: sagas that cost no thread while they wait.

effects      the descriptors: ``Call``, ``Put``, ``Take``, ``Race``, ...
results      what handlers answer: ``EffectResult``
handlers/    the built-in handlers, a table like any plugin's
registry     ``handles``, ``EffectRegistry``: effect type to handler
context      ``SagaContext``: identity and cancel scope
task         ``SagaTask``: one running saga
children     running sagas on behalf of a waiting one
runtime      ``SagaRuntime``: what a store finds by entry point, and wires the rest
_runner      steps sagas; _scheduler: ready queue and workers; _takers: who waits for what
_timers      the timer heap; _loop: the event loop; _commands: commands as sagas
errors       what goes wrong, and ``SagaCancelled``
"""

from milo_effects.context import SagaContext
from milo_effects.effects import (
    All,
    Call,
    Debounce,
    Delay,
    Fork,
    Put,
    Race,
    Retry,
    Select,
    Take,
    TakeEvery,
    TakeLatest,
    Timeout,
    TryCall,
)
from milo_effects.errors import (
    ChildCancelledError,
    EffectError,
    HandlerError,
    RegistrationError,
    SagaCancelled,
    UnknownEffectError,
)
from milo_effects.registry import EffectRegistry, Handler, handles
from milo_effects.results import WINDING_DOWN, Cancel, EffectResult, Resume, Start
from milo_effects.runtime import SagaRuntime
from milo_effects.task import SagaTask

__version__ = "0.1.0"

__all__ = [
    "WINDING_DOWN",
    "All",
    "Call",
    "Cancel",
    "ChildCancelledError",
    "Debounce",
    "Delay",
    "EffectError",
    "EffectRegistry",
    "EffectResult",
    "Fork",
    "Handler",
    "HandlerError",
    "Put",
    "Race",
    "RegistrationError",
    "Resume",
    "Retry",
    "SagaCancelled",
    "SagaContext",
    "SagaRuntime",
    "SagaTask",
    "Select",
    "Start",
    "Take",
    "TakeEvery",
    "TakeLatest",
    "Timeout",
    "TryCall",
    "UnknownEffectError",
    "handles",
]
