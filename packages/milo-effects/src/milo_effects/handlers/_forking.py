"""Fork, TakeEvery, TakeLatest and Debounce: starting sagas that nobody waits for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._runner import not_a_saga
from milo_effects._timers import Timer
from milo_effects.effects import Debounce, Fork, TakeEvery, TakeLatest
from milo_effects.registry import handles
from milo_effects.results import SEND, Cancel, EffectResult, Resume
from milo_effects.task import SagaTask, TaskState


@handles(Fork)
def fork(effect: Fork, context: SagaTask, store: StorePort) -> EffectResult:
    """Queue the new saga and send back its task."""
    saga = effect.saga
    if not callable(saga) and not hasattr(saga, "send"):
        raise not_a_saga(saga, None)
    runtime = context.runtime
    child = SagaTask(runtime, saga, parent=context.scope if effect.attached else None)
    return EffectResult(SEND, runtime.submit(child))


@handles(TakeEvery)
def take_every(effect: TakeEvery, context: SagaTask, store: StorePort) -> EffectResult:
    """Park for good; the sagas are started by the dispatching threads."""
    return _watch(effect, context, latest=False)


@handles(TakeLatest)
def take_latest(effect: TakeLatest, context: SagaTask, store: StorePort) -> EffectResult:
    """As ``take_every``, one saga at a time."""
    return _watch(effect, context, latest=True)


def _watch(effect: TakeEvery | TakeLatest, context: SagaTask, *, latest: bool) -> EffectResult:
    def start(resume: Resume) -> Cancel:
        watcher = _Watcher(context, effect.saga, latest=latest)
        takers = context.runtime.takers
        takers.add(effect.action_type, watcher)
        return partial(takers.remove, effect.action_type, watcher)

    return EffectResult.wait(start)


class _Watcher:
    """Starts a saga for each action. ``take`` runs under the store's lock, in dispatch order."""

    once = False

    def __init__(self, parent: SagaTask, saga: Callable[..., Any], *, latest: bool) -> None:
        self._parent = parent
        self._saga = saga
        self._with_action = _takes_an_argument(saga)
        self._latest = latest
        self._current: SagaTask | None = None

    def take(self, action: Action) -> Callable[[], None] | None:
        if self._latest and self._current is not None:
            self._current.cancel_tree()
        source = partial(self._saga, action) if self._with_action else self._saga
        runtime = self._parent.runtime
        self._current = SagaTask(runtime, source, parent=self._parent)
        return runtime.runner.spawn(self._current)


def _takes_an_argument(saga: Callable[..., Any]) -> bool:
    """Whether the action can be passed; a function without parameters is called bare."""
    try:
        inspect.signature(saga).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


_PENDING: Final = "milo.debounce"


@handles(Debounce)
def debounce(effect: Debounce, context: SagaTask, store: StorePort) -> EffectResult:
    """Set the timer for this saga and target anew."""
    pending = _pending(context)
    earlier = pending.pop(effect.saga, None)
    if earlier is not None:
        earlier.cancel()
    pending[effect.saga] = context.clock.call_later(
        effect.seconds, partial(_fire, context, effect.saga)
    )
    return EffectResult.next()


def _pending(context: SagaTask) -> dict[Any, Timer]:
    if context.local is None:
        context.local = {}
    if _PENDING not in context.local:
        context.local[_PENDING] = {}
        context.add_done_callback(_drop_pending)
    pending: dict[Any, Timer] = context.local[_PENDING]
    return pending


def _drop_pending(context: SagaTask) -> None:
    if context.local is not None:
        for timer in context.local.pop(_PENDING, {}).values():
            timer.cancel()


def _fire(context: SagaTask, saga: Callable[[], Any]) -> None:
    """Start the debounced saga, on the clock's thread."""
    if context.state is not TaskState.DONE:
        context.runtime.submit(SagaTask(context.runtime, saga, parent=context.scope))
