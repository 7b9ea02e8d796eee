"""milo-core: the store.

actions     what happened: ``Action`` and the type names Milo dispatches itself
results     what a reducer may return: ``ReducerResult``, ``Quit``, ``ViewState``
reducers    ``combine_reducers`` and small reducer decorators
store       ``Store``: dispatch, middleware, listeners, the seam to a runtime
runtime     the protocol a store's effect runtime fulfils (milo-effects does)
commands    ``Cmd``, ``Batch``, ``Sequence``, ``TickCmd``: work a reducer asks for
keys        ``Key``, ``SpecialKey``
encoding    values as canonical JSON
recording   hash-chained session recordings and their replay
plugins     the entry-point loader
errors      what goes wrong
"""

from milo_core.actions import Action
from milo_core.commands import Batch, Cmd, Sequence, TickCmd, compact_cmds
from milo_core.errors import MiloError, MissingPluginError, PluginError, ReplayError, StateError
from milo_core.keys import Key, SpecialKey
from milo_core.recording import read_recording, replay
from milo_core.reducers import combine_reducers, quit_on, with_confirm, with_cursor
from milo_core.results import Quit, ReducerResult, ViewState
from milo_core.store import Store

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Batch",
    "Cmd",
    "Key",
    "MiloError",
    "MissingPluginError",
    "PluginError",
    "Quit",
    "ReducerResult",
    "ReplayError",
    "Sequence",
    "SpecialKey",
    "StateError",
    "Store",
    "TickCmd",
    "ViewState",
    "combine_reducers",
    "compact_cmds",
    "quit_on",
    "read_recording",
    "replay",
    "with_confirm",
    "with_cursor",
]
