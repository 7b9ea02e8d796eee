"""Fork: starting a saga that nobody waits for."""

from __future__ import annotations

from milo_core.runtime import StorePort
from milo_effects._runner import not_a_saga
from milo_effects.effects import Fork
from milo_effects.registry import handles
from milo_effects.results import SEND, EffectResult
from milo_effects.task import SagaTask


@handles(Fork)
def fork(effect: Fork, context: SagaTask, store: StorePort) -> EffectResult:
    """Queue the new saga and send back its task."""
    saga = effect.saga
    if not callable(saga) and not hasattr(saga, "send"):
        raise not_a_saga(saga, None)
    runtime = context.runtime
    child = SagaTask(runtime, saga, parent=context.scope if effect.attached else None)
    return EffectResult(SEND, runtime.submit(child))
