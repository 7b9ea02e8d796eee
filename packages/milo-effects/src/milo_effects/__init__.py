"""milo-effects: sagas that cost no thread while they wait.

effects      the descriptors: ``Call``, ``Put``, ``Take``, ``Race``, ...
results      what handlers answer: ``EffectResult``
handlers/    the built-in handlers, a table like any plugin's
registry     ``handles``, ``EffectRegistry``: effect type to handler
channels     ``Channel``, ``Buffer``: queues between threads, callbacks and sagas
semaphore    ``Semaphore``: the places that ``Limit`` runs things in
context      ``SagaContext``: identity and cancel scope
task         ``SagaTask``: one running saga
children     running sagas on behalf of a waiting one
runtime      ``SagaRuntime``: what a store finds by entry point, and wires the rest
_runner      steps sagas; _scheduler: ready queue and workers; _takers: who waits for what
_timers      the timer heap; _loop: the event loop; _commands: commands as sagas
errors       what goes wrong, and ``SagaCancelled``
"""

from milo_effects.channels import Buffer, Channel, Emit
from milo_effects.context import SagaContext
from milo_effects.effects import (
    ActionChannel,
    All,
    Call,
    Cancel,
    Debounce,
    Delay,
    EventChannel,
    Flush,
    Fork,
    GetContext,
    Join,
    Limit,
    Put,
    Race,
    Retry,
    Select,
    SetContext,
    Supervise,
    Take,
    TakeEvery,
    TakeLatest,
    TakeLeading,
    Throttle,
    Timeout,
    TryCall,
)
from milo_effects.errors import (
    BufferFull,
    ChannelClosed,
    ChildCancelledError,
    EffectError,
    HandlerError,
    MissingValueError,
    RegistrationError,
    SagaCancelled,
    SubscriptionError,
    UnknownEffectError,
)
from milo_effects.registry import EffectRegistry, Handler, handles
from milo_effects.results import WINDING_DOWN, EffectResult, Resume, Start
from milo_effects.results import Cancel as Stop
from milo_effects.runtime import SagaRuntime
from milo_effects.semaphore import Semaphore
from milo_effects.task import SagaTask

__version__ = "0.1.0"

__all__ = [
    "WINDING_DOWN",
    "ActionChannel",
    "All",
    "Buffer",
    "BufferFull",
    "Call",
    "Cancel",
    "Channel",
    "ChannelClosed",
    "ChildCancelledError",
    "Debounce",
    "Delay",
    "EffectError",
    "EffectRegistry",
    "EffectResult",
    "Emit",
    "EventChannel",
    "Flush",
    "Fork",
    "GetContext",
    "Handler",
    "HandlerError",
    "Join",
    "Limit",
    "MissingValueError",
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
    "Semaphore",
    "SetContext",
    "Start",
    "Stop",
    "SubscriptionError",
    "Supervise",
    "Take",
    "TakeEvery",
    "TakeLatest",
    "TakeLeading",
    "Throttle",
    "Timeout",
    "TryCall",
    "UnknownEffectError",
    "handles",
]
