"""Retry: calling a function until it succeeds."""

from __future__ import annotations

from random import Random

from milo_core.runtime import StorePort
from milo_effects.children import delegate
from milo_effects.effects import Call, Delay, Retry
from milo_effects.effects._backoff import jittered_wait
from milo_effects.registry import handles
from milo_effects.results import EffectResult
from milo_effects.task import Saga, SagaTask


@handles(Retry)
def retry(effect: Retry, context: SagaTask, store: StorePort) -> EffectResult:
    """Run the attempts as a saga of their own, so that waiting between them parks."""
    return delegate(context, _attempts(effect, context.runtime.random))


def _attempts(effect: Retry, random: Random) -> Saga:
    call = Call(effect.fn, effect.args, effect.kwargs)
    for attempt in range(effect.max_attempts - 1):
        try:
            return (yield call)
        except Exception as error:  # foreign code; tried again unless ``should_retry`` objects
            if effect.should_retry is not None and not effect.should_retry(error):
                raise
        yield Delay(jittered_wait(effect, attempt, random))
    return (yield call)
