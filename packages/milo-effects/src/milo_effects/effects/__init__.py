"""Effect descriptors: frozen data that a saga yields and a handler carries out.

Two equal descriptors compare equal, so a saga can be tested by stepping through it.
What each one sends back is in its docstring; what can go wrong is thrown at the ``yield``.

calls        Call, TryCall
channels     ActionChannel, EventChannel, Flush
retrying     Retry
store        Put, Select
waiting      Delay, Take
forking      Fork
watching     TakeEvery, TakeLatest, TakeLeading
pacing       Throttle, Debounce
joining      Join, Cancel
values       SetContext, GetContext
combining    Timeout, Race, All
limiting     Limit
supervising  Supervise

Each module here has the handlers of its effects in the module of the same name in
``milo_effects.handlers``.
"""

from milo_effects.effects._backoff import BACKOFFS, Backoff
from milo_effects.effects.calls import Call, TryCall
from milo_effects.effects.channels import ActionChannel, EventChannel, Flush
from milo_effects.effects.combining import All, Race, Timeout
from milo_effects.effects.forking import Fork
from milo_effects.effects.joining import Cancel, Join
from milo_effects.effects.limiting import Limit
from milo_effects.effects.pacing import Debounce, Throttle
from milo_effects.effects.retrying import Retry
from milo_effects.effects.store import Put, Select
from milo_effects.effects.supervising import Supervise
from milo_effects.effects.values import GetContext, SetContext
from milo_effects.effects.waiting import Delay, Take
from milo_effects.effects.watching import TakeEvery, TakeLatest, TakeLeading

__all__ = [
    "BACKOFFS",
    "ActionChannel",
    "All",
    "Backoff",
    "Call",
    "Cancel",
    "Debounce",
    "Delay",
    "EventChannel",
    "Flush",
    "Fork",
    "GetContext",
    "Join",
    "Limit",
    "Put",
    "Race",
    "Retry",
    "Select",
    "SetContext",
    "Supervise",
    "Take",
    "TakeEvery",
    "TakeLatest",
    "TakeLeading",
    "Throttle",
    "Timeout",
    "TryCall",
]
