"""Put and Select: what sagas do with the store."""

from __future__ import annotations

from typing import Any

from milo_core.journal import Mark
from milo_core.runtime import StorePort
from milo_effects.effects import Put, Select
from milo_effects.registry import answers
from milo_effects.task import SagaTask


@answers(Put, keeps_mark=True)
def put(effect: Put, context: SagaTask, store: StorePort) -> None:
    """Dispatch, and open the saga's mark behind the action, for a ``Take`` that comes next."""
    mark = context.mark
    if mark is None:
        mark = context.mark = Mark()  # before it is opened, so that it is closed come what may
        mark.node = None
    context.runtime.put(effect.action, mark)


@answers(Select)
def select(effect: Select, context: SagaTask, store: StorePort) -> Any:
    """Read the state now."""
    selector = effect.selector
    return store.state if selector is None else selector(store.state)
