"""Delay and Take: waiting for a time or for an action."""

from __future__ import annotations

from collections.abc import Callable

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._takers import Node, Takers
from milo_effects._timers import Clock, Timer
from milo_effects.effects import Delay, Take
from milo_effects.registry import handles
from milo_effects.results import Cancel, EffectResult, Resume
from milo_effects.task import SagaTask


@handles(Delay)
def delay(effect: Delay, context: SagaTask, store: StorePort) -> EffectResult:
    """Resume in so many seconds."""

    def start(resume: Resume) -> Cancel:
        return context.clock.call_later(effect.seconds, resume.next).cancel

    return EffectResult.wait(start)


@handles(Take)
def take(effect: Take, context: SagaTask, store: StorePort) -> EffectResult:
    """Answer with what was dispatched since the ``Put`` just before, or wait for more."""
    takers: Takers = context.runtime.takers
    since = context.since
    if since is not None:
        action, since = takers.find(effect.action_type, since)
        if action is not None:
            return EffectResult.send(action)
    return EffectResult.wait(
        lambda token: _Taking(effect, token, takers, context.clock, since).stop
    )


class _Taking:
    """One ``Take`` that waits: for its action, and perhaps for its time to run out."""

    __slots__ = ("_effect", "_takers", "_timer", "_token")

    once = True

    def __init__(
        self, effect: Take, token: Resume, takers: Takers, clock: Clock, since: Node | None
    ) -> None:
        self._effect = effect
        self._token = token
        self._takers = takers
        self._timer: Timer | None = None
        with takers.lock:  # neither the action nor the timer may come before both are set
            if effect.timeout is not None:
                self._timer = clock.call_later(effect.timeout, self._expire)
            action = takers.add(effect.action_type, self, since)
        if action is not None:
            self._drop_timer()
            token.send(action)

    def take(self, action: Action) -> Callable[[], None] | None:
        self._drop_timer()
        return self._token.send_later(action)

    def stop(self) -> None:
        self._takers.remove(self._effect.action_type, self)
        self._drop_timer()

    def _expire(self) -> None:
        self._takers.remove(self._effect.action_type, self)
        effect = self._effect
        self._token.throw(
            TimeoutError(f"Take({effect.action_type!r}) timed out after {effect.timeout}s")
        )

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
