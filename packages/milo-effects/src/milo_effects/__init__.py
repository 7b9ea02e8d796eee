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
monitors     ``SagaMonitor``, ``install_monitor``: being told of all that sagas do
tree_monitor ``TreeMonitor``, logging_monitor ``LoggingMonitor``: monitors to use
running      ``run``: one saga without a store of one's own
runtime      ``SagaRuntime``: what a store finds by entry point, and wires the rest
_runner      steps sagas; _scheduler: ready queue and workers; _takers: who waits for what
_timers      the timer heap; _loop: the event loop; _commands: commands as sagas
errors       what goes wrong, and ``SagaCancelled``
"""

from milo_effects.channels import Buffer, Channel, Emit
from milo_effects.children import delegate
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
    EffectTimeout,
    HandlerError,
    MissingValueError,
    RegistrationError,
    ResumedTwiceError,
    SagaCancelled,
    SubscriptionError,
    UnknownEffectError,
)
from milo_effects.logging_monitor import LoggingMonitor
from milo_effects.monitors import SagaMonitor, install_monitor
from milo_effects.registry import EffectRegistry, Handler, answers, handles
from milo_effects.results import WINDING_DOWN, EffectResult, Reply, Resume, Start, Stop, Wait
from milo_effects.running import run
from milo_effects.runtime import SagaRuntime
from milo_effects.semaphore import Semaphore
from milo_effects.task import SagaTask
from milo_effects.tree_monitor import TreeMonitor

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
    "EffectTimeout",
    "Emit",
    "EventChannel",
    "Flush",
    "Fork",
    "GetContext",
    "Handler",
    "HandlerError",
    "Join",
    "Limit",
    "LoggingMonitor",
    "MissingValueError",
    "Put",
    "Race",
    "RegistrationError",
    "Reply",
    "Resume",
    "ResumedTwiceError",
    "Retry",
    "SagaCancelled",
    "SagaContext",
    "SagaMonitor",
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
    "TreeMonitor",
    "TryCall",
    "UnknownEffectError",
    "Wait",
    "answers",
    "delegate",
    "handles",
    "install_monitor",
    "run",
]
