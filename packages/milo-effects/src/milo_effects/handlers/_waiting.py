"""Delay and Take: waiting for a time or for an action."""

from __future__ import annotations

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._takers import Woken
from milo_effects._timers import Timer
from milo_effects.channels import Channel
from milo_effects.effects import Delay, Take
from milo_effects.handlers._channels import take_from
from milo_effects.registry import answers
from milo_effects.results import Wait
from milo_effects.task import SagaTask


@answers(Delay)
def delay(effect: Delay, context: SagaTask, store: StorePort) -> object:
    """Resume in so many seconds."""
    return context.follow(_Delaying(effect.seconds))


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
    if isinstance(effect.action_type, Channel):
        return context.follow(take_from(effect.action_type, effect, context))
    return context.follow(_Taking(effect))


class _Taking(Wait):
    """One ``Take`` that waits: for its action, and perhaps for its time to run out."""

    __slots__ = ("_effect", "_timer")

    once = True

    def __init__(self, effect: Take) -> None:
        self._effect = effect
        self._timer: Timer | None = None

    def begin(self) -> None:
        task, effect = self.task, self._effect
        takers = task.runtime.takers
        if effect.timeout is None:
            action = takers.add(effect.action_type, self, task.since)
        else:
            with takers.lock:  # neither the action nor the timer may come before both are set
                self._timer = task.clock.call_later(effect.timeout, self._expire)
                action = takers.add(effect.action_type, self, task.since)
        if action is not None:
            self._drop_timer()
            self.send(action)

    def take(self, action: Action) -> Woken:
        if self._effect.action_type.__class__ is not str:
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
        effect = self._effect
        self.throw(TimeoutError(f"Take({effect.action_type!r}) timed out after {effect.timeout}s"))

    def _leave(self) -> None:
        self.task.runtime.takers.remove(self._effect.action_type, self)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
