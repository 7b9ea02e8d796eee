"""Other threads getting ahead in the midst of a turn.

A worker may lose its processor anywhere. It matters at three points: when the saga has
yielded an effect that is not carried out yet, when it has been and the saga has not got its
answer, and when a wait has begun and the saga is not parked yet. No lock is held at any of
them, so whatever else can happen may happen there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from milo_effects.registry import EffectRegistry, Handler
from milo_effects.results import WAIT, EffectResult, Reply, Resume, Start, Stop, Wait
from milo_effects.task import FOLLOW, SagaTask
from milo_effects.testing._scheduling import SimulatedScheduler
from milo_effects.testing._world import World


class InterruptedRegistry(EffectRegistry):
    """The handlers of another registry, with interruptions before and behind each."""

    def __init__(
        self, registry: EffectRegistry, world: World, parks: Callable[[SagaTask, object], None]
    ) -> None:
        self._inner = registry
        self._world = world
        self._parks = parks
        self.table = {}
        """Filled by ``find``, which the runner asks for what is missing here."""
        self.keepers = frozenset()

    def find(self, effect: object) -> Handler:
        inner = self._inner.find(effect)
        handler = self.table[type(effect)] = self._interrupted(inner)
        if inner in self._inner.keepers:
            self.keepers |= {handler}
        return handler

    def _interrupted(self, handler: Handler) -> Handler:
        world = self._world

        def interrupted(effect: Any, task: SagaTask, store: Any) -> object:
            world.steps += 1
            world.interrupt()
            answer = handler(effect, task, store)
            if answer is FOLLOW:
                self._parks(task, effect)
                task.reply = _interrupted_reply(task.reply, world)
            world.interrupt()
            return answer

        return interrupted


def _interrupted_reply(reply: Reply | None, world: World) -> Reply | None:
    if isinstance(reply, Wait):
        reply.__class__ = _interrupted_kind(type(reply))  # who resumes it knows this very object
    if isinstance(reply, EffectResult) and reply.action == WAIT and reply.start is not None:
        return EffectResult.wait(_interrupted_start(reply.start, world))
    return reply


def _interrupted_start(start: Start, world: World) -> Start:
    def interrupted(resume: Resume) -> Stop:
        stop = start(resume)
        world.interrupt()
        return stop

    return interrupted


_interrupted_kinds: dict[type[Wait], type[Wait]] = {}


def _interrupted_kind(kind: type[Wait]) -> type[Wait]:
    """A class of waits that are as those of ``kind``, with an interruption when they have begun."""
    if kind in _interrupted_kinds:
        return _interrupted_kinds[kind]

    def begin(self: Wait) -> None:
        kind.begin(self)
        scheduler = self.task.runtime.runner.scheduler
        assert isinstance(scheduler, SimulatedScheduler)
        scheduler.world.interrupt()

    made = type(kind.__name__, (kind,), {"__slots__": (), "begin": begin})
    return _interrupted_kinds.setdefault(kind, made)
