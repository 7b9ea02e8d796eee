"""Put and Select: what sagas do with the store."""

from __future__ import annotations

from milo_core.runtime import StorePort
from milo_effects.effects import Put, Select
from milo_effects.registry import handles
from milo_effects.results import SEND, EffectResult
from milo_effects.task import SagaTask

_DONE = EffectResult.next()


@handles(Put)
def put(effect: Put, context: SagaTask, store: StorePort) -> EffectResult:
    """Dispatch, leaving the task as mark, so that the journal tells it where its action stands."""
    context.runtime.put(effect.action, context)
    return _DONE


@handles(Select)
def select(effect: Select, context: SagaTask, store: StorePort) -> EffectResult:
    """Read the state now."""
    selector = effect.selector
    return EffectResult(SEND, store.state if selector is None else selector(store.state))
