"""Throttle and Debounce: sagas started when the time has come, on the clock's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._takers import Woken
from milo_effects._timers import Timer
from milo_effects.effects import Debounce, Throttle
from milo_effects.handlers._watching import Watching
from milo_effects.registry import handles
from milo_effects.results import EffectResult, Wait
from milo_effects.task import SagaTask


@handles(Throttle)
def throttle(effect: Throttle, context: SagaTask, store: StorePort) -> Wait:
    """Watch as ``TakeEvery`` does, with a pause after each saga that is started."""
    return _Throttling(effect)


class _Throttling(Watching):
    """While the timer is set, the newest action is kept until it fires."""

    __slots__ = ("_kept", "_lock", "_timer")

    effect: Throttle

    def __init__(self, effect: Throttle) -> None:
        super().__init__(effect)
        self._lock = threading.Lock()
        self._kept: Action | None = None
        self._timer: Timer | None = None

    def start_for(self, action: Action) -> Woken:
        with self._lock:  # until it is queued: the timer may fire before that, and overtake it
            if self._timer is not None:
                self._kept = action
                return None
            self._set_timer()
            return super().start_for(action)

    def stop(self) -> None:
        super().stop()
        self._drop_timer()

    def fail(self, error: BaseException) -> Woken:
        self._drop_timer()
        return super().fail(error)

    def _set_timer(self) -> None:
        self._timer = self.task.clock.call_later(self.effect.seconds, self._pause_is_over)

    def _pause_is_over(self) -> None:
        """Start the saga of what was kept, and pause again; or be ready for the next action."""
        with self._lock:
            action, self._kept, self._timer = self._kept, None, None
            if action is None:
                return
            self._set_timer()
        self.task.runtime.submit(self.new_child(action))

    def _drop_timer(self) -> None:
        """A timer that fires all the same finds nothing kept."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._kept = None


_PENDING: Final = "milo.debounce"


@handles(Debounce)
def debounce(effect: Debounce, context: SagaTask, store: StorePort) -> EffectResult:
    """Set the timer for this saga and target anew."""
    if context.local is None:
        context.local = {}
    pending = context.local.get(_PENDING)
    if pending is None:
        pending = context.local[_PENDING] = _Pending(context)
    pending.set(effect, context)
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

    def set(self, effect: Debounce, parent: SagaTask) -> None:
        saga, mine = effect.saga, object()
        new_child = partial(
            SagaTask, self._runtime, saga, parent=parent.scope, values=parent.values
        )
        with self._lock:
            _, earlier = self._timers.pop(saga, (None, None))
            if earlier is not None:
                earlier.cancel()
            timer = self._runtime.clock.call_later(
                effect.seconds, partial(self._fire, saga, mine, new_child)
            )
            self._timers[saga] = mine, timer

    def _fire(
        self, saga: Callable[[], Any], mine: object, new_child: Callable[[], SagaTask]
    ) -> None:
        """Start the debounced saga, on the clock's thread."""
        with self._lock:
            if self._timers.get(saga, (None, None))[0] is not mine:
                return
            del self._timers[saga]
        self._runtime.submit(new_child())

    def _drop(self, parent: SagaTask) -> None:
        with self._lock:
            for _, timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
