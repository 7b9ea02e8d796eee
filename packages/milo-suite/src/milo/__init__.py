"""Milo in one import: every public name of its packages, loaded when it is first used.

milo_core       the store: ``Store``, ``Action``, reducers, commands, keys
milo_effects    sagas: ``Call``, ``Put``, ``Fork``, ``Take``, ``Race`` and the rest
milo_pipeline   pipelines: ``Pipeline``, ``Phase``, ``PhasePolicy``
milo.state      the names around the store, together
milo.pipeline   the names around pipelines, together
milo._cli       the ``milo`` command

``import milo`` alone imports none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Action",
    "ActionChannel",
    "All",
    "Batch",
    "Buffer",
    "BufferFull",
    "Call",
    "Cancel",
    "Channel",
    "ChannelClosed",
    "ChildCancelledError",
    "Cmd",
    "CycleError",
    "Debounce",
    "DefinitionError",
    "Delay",
    "EffectError",
    "EffectRegistry",
    "EffectResult",
    "Emit",
    "EventChannel",
    "Flush",
    "Fork",
    "GetContext",
    "HandlerError",
    "Join",
    "Key",
    "Limit",
    "LoggingMonitor",
    "MiloError",
    "MissingPluginError",
    "MissingValueError",
    "Phase",
    "PhaseLog",
    "PhasePolicy",
    "PhaseStatus",
    "Pipeline",
    "PipelineError",
    "PipelineFailed",
    "PipelineResult",
    "PipelineState",
    "PipelineViewState",
    "PluginError",
    "Put",
    "Quit",
    "Race",
    "ReducerResult",
    "RegistrationError",
    "ReplayError",
    "Retry",
    "SagaCancelled",
    "SagaContext",
    "SagaMonitor",
    "SagaTask",
    "Select",
    "Semaphore",
    "Sequence",
    "SetContext",
    "SpecialKey",
    "StateError",
    "Store",
    "SubscriptionError",
    "Supervise",
    "Take",
    "TakeEvery",
    "TakeLatest",
    "TakeLeading",
    "Throttle",
    "TickCmd",
    "Timeout",
    "TreeMonitor",
    "TryCall",
    "UnknownEffectError",
    "ViewState",
    "combine_reducers",
    "compact_cmds",
    "get_active_pipeline",
    "handles",
    "install_monitor",
    "make_detail_reducer",
    "pipeline_to_timeline",
    "quit_on",
    "read_recording",
    "replay",
    "run",
    "set_active_pipeline",
    "with_confirm",
    "with_cursor",
]

if TYPE_CHECKING:
    from milo_core import (
        Action,
        Batch,
        Cmd,
        Key,
        MiloError,
        MissingPluginError,
        PluginError,
        Quit,
        ReducerResult,
        ReplayError,
        Sequence,
        SpecialKey,
        StateError,
        Store,
        TickCmd,
        ViewState,
        combine_reducers,
        compact_cmds,
        quit_on,
        read_recording,
        replay,
        with_confirm,
        with_cursor,
    )
    from milo_effects import (
        ActionChannel,
        All,
        Buffer,
        BufferFull,
        Call,
        Cancel,
        Channel,
        ChannelClosed,
        ChildCancelledError,
        Debounce,
        Delay,
        EffectError,
        EffectRegistry,
        EffectResult,
        Emit,
        EventChannel,
        Flush,
        Fork,
        GetContext,
        HandlerError,
        Join,
        Limit,
        LoggingMonitor,
        MissingValueError,
        Put,
        Race,
        RegistrationError,
        Retry,
        SagaCancelled,
        SagaContext,
        SagaMonitor,
        SagaTask,
        Select,
        Semaphore,
        SetContext,
        SubscriptionError,
        Supervise,
        Take,
        TakeEvery,
        TakeLatest,
        TakeLeading,
        Throttle,
        Timeout,
        TreeMonitor,
        TryCall,
        UnknownEffectError,
        handles,
        install_monitor,
        run,
    )
    from milo_pipeline import (
        CycleError,
        DefinitionError,
        Phase,
        PhaseLog,
        PhasePolicy,
        PhaseStatus,
        Pipeline,
        PipelineError,
        PipelineFailed,
        PipelineResult,
        PipelineState,
        PipelineViewState,
        get_active_pipeline,
        make_detail_reducer,
        pipeline_to_timeline,
        set_active_pipeline,
    )
else:

    def __getattr__(name):
        """Look a public name up in the packages, lowest first, and keep it (PEP 562)."""
        from importlib import import_module

        if name in __all__:
            for package in ("milo_core", "milo_effects", "milo_pipeline"):
                home = import_module(package)
                if name in home.__all__:
                    return globals().setdefault(name, getattr(home, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)

    def __dir__():
        return sorted({*globals(), *__all__})
