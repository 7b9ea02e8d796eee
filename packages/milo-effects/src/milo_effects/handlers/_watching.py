"""TakeEvery, TakeLatest and Debounce: sagas started by actions or after a pause."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._timers import Timer
from milo_effects.context import SagaContext
from milo_effects.effects import Debounce, TakeEvery, TakeLatest
from milo_effects.registry import handles
from milo_effects.results import Cancel, EffectResult, Resume
from milo_effects.task import SagaTask


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
        self._runtime = parent.runtime
        self._scope = parent.scope
        self._saga = saga
        self._with_action = _takes_an_argument(saga)
        self._latest = latest
        self._current: SagaTask | None = None

    def take(self, action: Action) -> Callable[[], None] | None:
        if self._latest and self._current is not None:
            self._current.cancel_tree()
        source = partial(self._saga, action) if self._with_action else self._saga
        runtime = self._runtime
        self._current = SagaTask(runtime, source, parent=self._scope)
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
    if context.local is None:
        context.local = {}
    pending = context.local.get(_PENDING)
    if pending is None:
        pending = context.local[_PENDING] = _Pending(context)
    pending.set(effect, context.scope)
    return EffectResult.next()


class _Pending:
    """The debounced sagas of one saga that have not started, each with its timer.

    A timer that fires while it is replaced finds another in its place and starts nothing.
    """

    def __init__(self, parent: SagaTask) -> None:
        self._lock = threading.Lock()
        self._runtime = parent.runtime
        self._timers: dict[Any, tuple[object, Timer]] = {}
        parent.add_done_callback(self._drop)

    def set(self, effect: Debounce, scope: SagaContext) -> None:
        saga, mine = effect.saga, object()
        with self._lock:
            _, earlier = self._timers.pop(saga, (None, None))
            if earlier is not None:
                earlier.cancel()
            timer = self._runtime.clock.call_later(
                effect.seconds, partial(self._fire, saga, mine, scope)
            )
            self._timers[saga] = mine, timer

    def _fire(self, saga: Callable[[], Any], mine: object, scope: SagaContext) -> None:
        """Start the debounced saga, on the clock's thread."""
        with self._lock:
            if self._timers.get(saga, (None, None))[0] is not mine:
                return
            del self._timers[saga]
        self._runtime.submit(SagaTask(self._runtime, saga, parent=scope))

    def _drop(self, parent: SagaTask) -> None:
        with self._lock:
            for _, timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
