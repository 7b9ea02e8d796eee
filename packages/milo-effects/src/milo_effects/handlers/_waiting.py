"""Delay and Take: waiting for a time or for an action."""

from __future__ import annotations

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._takers import Woken
from milo_effects._timers import Timer
from milo_effects.channels import Channel
from milo_effects.effects import Delay, Take
from milo_effects.errors import EffectTimeout
from milo_effects.handlers._channels import take_from
from milo_effects.patterns import Pattern
from milo_effects.registry import answers
from milo_effects.results import Wait
from milo_effects.task import FOLLOW, SagaTask


@answers(Delay)
def delay(effect: Delay, context: SagaTask, store: StorePort) -> object:
    """Resume in so many seconds."""
    context.reply = _Delaying(effect.seconds)
    return FOLLOW


class _Delaying(Wait):
    """One ``Delay``."""

    __slots__ = ("_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def begin(self) -> None:
        self._timer = self.task.clock.call_later(self._seconds, self.next)

    def stop(self) -> None:
        self._timer.cancel()


@answers(Take)
def take(effect: Take, context: SagaTask, store: StorePort) -> object:
    """Wait for the first action that fits, of those dispatched since the ``Put`` just before."""
    source = effect.action_type
    if type(source) is str or not isinstance(source, Channel):
        context.reply = _Taking(source, effect.timeout)
    else:
        context.reply = take_from(source, effect, context)
    return FOLLOW


class _Taking(Wait):
    """One ``Take`` that waits: for its action, and perhaps for its time to run out."""

    __slots__ = ("_pattern", "_timeout", "_timer")

    once = True

    def __init__(self, pattern: Pattern, timeout: float | None) -> None:
        self._pattern = pattern
        self._timeout = timeout
        self._timer: Timer | None = None

    def begin(self) -> None:
        task = self.task
        takers = task.runtime.takers
        if self._timeout is None:
            action = takers.add(self._pattern, self, task.since)
        else:
            with takers.lock:  # neither the action nor the timer may come before both are set
                self._timer = task.clock.call_later(self._timeout, self._expire)
                try:
                    action = takers.add(self._pattern, self, task.since)
                except BaseException:  # the predicate's; there is nothing left to run out
                    self._timer.cancel()
                    raise
        if action is not None:
            self._drop_timer()
            self.send(action)

    def take(self, action: Action) -> Woken:
        if type(self._pattern) is not str:
            self._leave()  # it may wait for other types, too
        if self._timer is not None:
            self._timer.cancel()
        return self.task.runtime.runner.resume(self, True, action)

    def fail(self, error: BaseException) -> Woken:
        self._drop_timer()
        return self.task.runtime.runner.resume(self, False, error)

    def stop(self) -> None:
        self._leave()
        self._drop_timer()

    def _expire(self) -> None:
        self._leave()
        self.throw(EffectTimeout(f"Take({self._pattern!r}) timed out after {self._timeout}s"))

    def _leave(self) -> None:
        self.task.runtime.takers.remove(self._pattern, self)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
