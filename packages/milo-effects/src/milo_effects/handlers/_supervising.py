"""Supervise: running a saga anew when it has failed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from milo_core.runtime import StorePort
from milo_effects.children import as_saga, delegate, hand_on, new_child, start_child, wind_down
from milo_effects.effects import Delay, Supervise
from milo_effects.effects._backoff import jittered_wait
from milo_effects.registry import handles
from milo_effects.results import EffectResult, Resume, Stop
from milo_effects.task import Saga, SagaTask

_log = logging.getLogger(__name__)


@handles(Supervise)
def supervise(effect: Supervise, context: SagaTask, store: StorePort) -> EffectResult:
    """Run the supervisor as a saga of its own, so that waiting between runs parks."""
    as_saga(effect.saga, context)  # refuses here what no restart could help
    return delegate(context, _supervise(effect, context))


@dataclass(frozen=True, slots=True)
class SupervisedRun:
    """One run of what is supervised; only the supervisor yields this.

    It is a saga of its own, so that what is attached to it can be cancelled with it.
    """

    saga: Any


@handles(SupervisedRun)
def supervised_run(effect: SupervisedRun, context: SagaTask, store: StorePort) -> EffectResult:
    """Hand the run's outcome on; what a failed run leaves behind is cancelled first."""
    source = as_saga(effect.saga, context)

    def start(resume: Resume) -> Stop:
        def ended(child: SagaTask) -> None:
            if child.error is not None:
                child.cancel_tree()
            hand_on(child, context, resume)

        child = new_child(context, source, ended)
        start_child(child)
        return partial(wind_down, child)

    return EffectResult.wait(start)


def _supervise(effect: Supervise, context: SagaTask) -> Saga:
    clock, restarts = context.clock, 0
    while True:
        began = clock.now()
        try:
            return (yield SupervisedRun(effect.saga))
        except Exception as error:  # foreign code; it is logged and the saga restarted, or raised
            if effect.reset_after is not None and clock.now() - began >= effect.reset_after:
                restarts = 0
            if not _is_restarted_after(error, effect, restarts):
                raise
            wait = jittered_wait(effect, restarts, context.runtime.random)
            restarts += 1
            _log.warning(
                "%s failed; restart %d in %.3g s",
                _name(effect),
                restarts,
                wait,
                exc_info=error,
                extra={"milo_saga_id": context.saga_id},
            )
        yield Delay(wait)


def _is_restarted_after(error: Exception, effect: Supervise, restarts: int) -> bool:
    if effect.should_restart is not None and not effect.should_restart(error):
        return False
    if restarts != effect.max_restarts:
        return True
    _note(error, f"Supervise gave up on {_name(effect)} after {restarts} restarts")
    return False


def _note(error: Exception, text: str) -> None:
    try:
        error.add_note(text)
    except Exception:  # an error that cannot be changed is still the one to throw
        _log.warning("%s, whose error takes no note of it", text)


def _name(effect: Supervise) -> str:
    return getattr(effect.saga, "__name__", None) or f"{effect.saga!r:.200}"
