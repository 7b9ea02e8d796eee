"""SetContext and GetContext: what a saga hands down to those it starts."""

from __future__ import annotations

from milo_core.runtime import StorePort
from milo_effects.effects import GetContext, SetContext
from milo_effects.effects.values import REQUIRED
from milo_effects.errors import MissingValueError
from milo_effects.registry import handles
from milo_effects.results import EffectResult
from milo_effects.task import SagaTask


@handles(SetContext)
def set_context(effect: SetContext, context: SagaTask, store: StorePort) -> EffectResult:
    """Replace the values rather than change them: sagas started before share the old ones."""
    context.values = {**(context.values or {}), **effect.values}
    return EffectResult.next()


@handles(GetContext)
def get_context(effect: GetContext, context: SagaTask, store: StorePort) -> EffectResult:
    """Look among the saga's own values, which began as those of its parent."""
    values = context.values or {}
    if effect.name in values:
        return EffectResult.send(values[effect.name])
    if effect.default is REQUIRED:
        raise MissingValueError(effect.name, context.saga_id, values)
    return EffectResult.send(effect.default)
