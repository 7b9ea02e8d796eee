"""What a run's saga asks for that the built-in effects do not give: effects of the pipeline's own.

They reach the saga runner the way any plugin's effects do: by the entry point
``milo.effects`` of this distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects import SagaContext, SagaTask, answers


@dataclass(frozen=True, slots=True)
class Scope:
    """Sends back the saga's own context, which is its task, and is cancelled with it."""


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Sends back the store's ``dispatch``, for output that comes from outside any saga."""


@answers(Scope)
def scope(effect: Scope, context: SagaTask, store: StorePort) -> SagaTask:
    """Hand it out."""
    return context


@answers(Dispatcher)
def dispatcher(
    effect: Dispatcher, context: SagaContext, store: StorePort
) -> Callable[[Action], None]:
    """Hand the method out."""
    return store.dispatch


HANDLERS = {Dispatcher: dispatcher, Scope: scope}
"""What the entry point ``milo.effects`` of milo-pipeline points to."""
