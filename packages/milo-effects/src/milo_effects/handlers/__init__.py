"""The built-in handlers. ``BUILT_IN`` is a table like any plugin's.

_store       Put, Select
_calls       Call, TryCall
_channels    ActionChannel, EventChannel, Flush
_retrying    Retry
_waiting     Delay, Take
_forking     Fork
_watching    TakeEvery, TakeLatest, TakeLeading
_pacing      Throttle, Debounce
_joining     Join, Cancel
_values      SetContext, GetContext
_combining   Timeout, Race, All
_limiting    Limit
_supervising Supervise
"""

from typing import Final

from milo_effects.handlers._calls import call, try_call
from milo_effects.handlers._channels import action_channel, event_channel, flush
from milo_effects.handlers._combining import all_of, race, timeout
from milo_effects.handlers._forking import fork
from milo_effects.handlers._joining import cancel, join
from milo_effects.handlers._limiting import limit
from milo_effects.handlers._pacing import debounce, throttle
from milo_effects.handlers._retrying import retry
from milo_effects.handlers._store import put, select
from milo_effects.handlers._supervising import supervise, supervised_run
from milo_effects.handlers._values import get_context, set_context
from milo_effects.handlers._waiting import delay, take
from milo_effects.handlers._watching import take_every, take_latest, take_leading
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
    take_leading,
    throttle,
    debounce,
    join,
    cancel,
    set_context,
    get_context,
    timeout,
    race,
    all_of,
    action_channel,
    event_channel,
    flush,
    limit,
    supervise,
    supervised_run,
)
