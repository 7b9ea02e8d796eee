"""The built-in handlers. ``BUILT_IN`` is a table like any plugin's.

_store       Put, Select
_calls       Call, TryCall, Retry
_waiting     Delay, Take
_forking     Fork
_watching    TakeEvery, TakeLatest, Debounce
_combining   Timeout, Race, All
"""

from typing import Final

from milo_effects.handlers._calls import call, retry, try_call
from milo_effects.handlers._combining import all_of, race, timeout
from milo_effects.handlers._forking import fork
from milo_effects.handlers._store import put, select
from milo_effects.handlers._waiting import delay, take
from milo_effects.handlers._watching import debounce, take_every, take_latest
from milo_effects.registry import Handler, table_of

BUILT_IN: Final[dict[type, Handler]] = table_of(
    put,
    select,
    call,
    try_call,
    retry,
    delay,
    take,
    fork,
    take_every,
    take_latest,
    debounce,
    timeout,
    race,
    all_of,
)
