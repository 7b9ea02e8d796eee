"""milo-durable: sagas that survive ``kill -9``, on SQLite and PostgreSQL.

steps         ``BaseStep``: what a saga does and how it is undone
retry         when a failed step is tried again
events        what a saga waits for, what is sent to it
definition    ``SagaBuilder``: steps in order become a ``SagaDefinition``
status        the statuses, and which may follow which
models        ``SagaStateMixin``, ``InboxMessageMixin``, ``OutboxMessageMixin``: the tables
migrations    ``render_item``: for Alembic's env.py; not imported here
orchestrator  ``SagaOrchestrator``: what applications call
admin         ``SagaAdmin``: what operators call
worker        ``Worker``: has what is due done, until it is stopped; _bell: wakes it
outbox        ``OutboxDispatcher``: publishes what steps have put into the outbox
engine        ``SagaEngine``: drives sagas from step to step
hooks         ``SagaHooks``: being told what happens; _hooks: calls them
otel          ``OtelHooks``: traces and metrics; not imported here
opening       ``open_orchestrator``: tables and engine in one line
snapshot      ``SagaSnapshot``: a saga as it stands
summary       ``SagaSummary``: a saga in a list
_deciding     what follows from what has happened; no database, no clock
_table        every statement on the saga table; _inbox: on the inbox;
              _outbox: on the outbox; _purge: deletes what is done with
_limits       how many sagas of a name may run at the same time; _places: its statements
_sql          what the two databases write differently; _json: what both hold
_work         running one step: input, timeout, lease
_recording    what a step writes in the transaction that records it
_database     connections; _crash: named points around each commit
errors        what goes wrong

``import milo_durable`` alone imports none of them; a name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "ActiveSagaAlreadyExistsError",
    "AwaitingEvent",
    "BaseStep",
    "Branch",
    "ExponentialRetry",
    "FixedRetry",
    "InboxMessageMixin",
    "InputContext",
    "InvalidEventError",
    "NoRetry",
    "NotifyEvent",
    "NotifyResult",
    "OnTimeout",
    "OutboxDispatcher",
    "OutboxMessageMixin",
    "OutgoingMessage",
    "RetryPolicy",
    "SagaAdmin",
    "SagaBuilder",
    "SagaDataError",
    "SagaDefinition",
    "SagaDefinitionError",
    "SagaEngine",
    "SagaError",
    "SagaHooks",
    "SagaNotFoundError",
    "SagaOrchestrator",
    "SagaSnapshot",
    "SagaStateError",
    "SagaStateMixin",
    "SagaStatus",
    "SagaSummary",
    "StepAwaitEvent",
    "StepDefinition",
    "StepEvent",
    "StepRef",
    "UnknownSagaError",
    "Worker",
    "WorkerStats",
    "open_orchestrator",
]

if TYPE_CHECKING:
    from milo_durable._outbox import OutgoingMessage
    from milo_durable.admin import SagaAdmin
    from milo_durable.definition import (
        InputContext,
        SagaBuilder,
        SagaDefinition,
        StepDefinition,
        StepRef,
    )
    from milo_durable.engine import SagaEngine
    from milo_durable.errors import (
        ActiveSagaAlreadyExistsError,
        InvalidEventError,
        SagaDataError,
        SagaDefinitionError,
        SagaError,
        SagaNotFoundError,
        SagaStateError,
        UnknownSagaError,
    )
    from milo_durable.events import (
        AwaitingEvent,
        NotifyEvent,
        NotifyResult,
        OnTimeout,
        StepAwaitEvent,
    )
    from milo_durable.hooks import SagaHooks, StepEvent
    from milo_durable.models import InboxMessageMixin, OutboxMessageMixin, SagaStateMixin
    from milo_durable.opening import open_orchestrator
    from milo_durable.orchestrator import SagaOrchestrator
    from milo_durable.outbox import OutboxDispatcher
    from milo_durable.retry import ExponentialRetry, FixedRetry, NoRetry, RetryPolicy
    from milo_durable.snapshot import Branch, SagaSnapshot
    from milo_durable.status import SagaStatus
    from milo_durable.steps import BaseStep
    from milo_durable.summary import SagaSummary
    from milo_durable.worker import Worker, WorkerStats
else:
    _HOMES = {
        "ActiveSagaAlreadyExistsError": "errors",
        "AwaitingEvent": "events",
        "BaseStep": "steps",
        "Branch": "snapshot",
        "ExponentialRetry": "retry",
        "FixedRetry": "retry",
        "InboxMessageMixin": "models",
        "InputContext": "definition",
        "InvalidEventError": "errors",
        "NoRetry": "retry",
        "NotifyEvent": "events",
        "NotifyResult": "events",
        "OnTimeout": "events",
        "OutboxDispatcher": "outbox",
        "OutboxMessageMixin": "models",
        "OutgoingMessage": "_outbox",
        "RetryPolicy": "retry",
        "SagaAdmin": "admin",
        "SagaBuilder": "definition",
        "SagaDataError": "errors",
        "SagaDefinition": "definition",
        "SagaDefinitionError": "errors",
        "SagaEngine": "engine",
        "SagaError": "errors",
        "SagaHooks": "hooks",
        "SagaNotFoundError": "errors",
        "SagaOrchestrator": "orchestrator",
        "SagaSnapshot": "snapshot",
        "SagaStateError": "errors",
        "SagaStateMixin": "models",
        "SagaStatus": "status",
        "SagaSummary": "summary",
        "StepAwaitEvent": "events",
        "StepDefinition": "definition",
        "StepEvent": "hooks",
        "StepRef": "definition",
        "UnknownSagaError": "errors",
        "Worker": "worker",
        "WorkerStats": "worker",
        "open_orchestrator": "opening",
    }

    def __getattr__(name):
        """Look a public name up in the module that has it, and keep it (PEP 562)."""
        from importlib import import_module

        if name in _HOMES:
            home = import_module(f"{__name__}.{_HOMES[name]}")
            return globals().setdefault(name, getattr(home, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)

    def __dir__():
        return sorted({*globals(), *__all__})
