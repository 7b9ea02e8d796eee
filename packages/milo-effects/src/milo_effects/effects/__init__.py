"""Effect descriptors: frozen data that a saga yields and a handler carries out.

Two equal descriptors compare equal, so a saga can be tested by stepping through it.
What each one sends back is in its docstring; what can go wrong is thrown at the ``yield``.

calls        Call, TryCall, Retry
store        Put, Select
waiting      Delay, Take
forking      Fork
watching     TakeEvery, TakeLatest, Debounce
combining    Timeout, Race, All

Each module here has the handlers of its effects in the module of the same name in
``milo_effects.handlers``.
"""

from milo_effects.effects.calls import BACKOFFS, Backoff, Call, Retry, TryCall
from milo_effects.effects.combining import All, Race, Timeout
from milo_effects.effects.forking import Fork
from milo_effects.effects.store import Put, Select
from milo_effects.effects.waiting import Delay, Take
from milo_effects.effects.watching import Debounce, TakeEvery, TakeLatest

__all__ = [
    "BACKOFFS",
    "All",
    "Backoff",
    "Call",
    "Debounce",
    "Delay",
    "Fork",
    "Put",
    "Race",
    "Retry",
    "Select",
    "Take",
    "TakeEvery",
    "TakeLatest",
    "Timeout",
    "TryCall",
]
