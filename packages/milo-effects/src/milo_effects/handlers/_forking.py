"""Fork: starting a saga that nobody waits for."""

from __future__ import annotations

from milo_core.runtime import StorePort
from milo_effects._runner import not_a_saga
from milo_effects.effects import Fork
from milo_effects.registry import answers
from milo_effects.task import SagaTask


@answers(Fork)
def fork(effect: Fork, context: SagaTask, store: StorePort) -> SagaTask:
    """Queue the new saga and send back its task."""
    saga = effect.saga
    if not callable(saga) and not hasattr(saga, "send"):
        raise not_a_saga(saga, None)
    runtime = context.runtime
    child = SagaTask(
        runtime, saga, parent=context.scope if effect.attached else None, values=context.values
    )
    return runtime.submit(child)
