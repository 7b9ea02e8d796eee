"""Limit: running things when there is a place for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from milo_core.runtime import StorePort
from milo_effects.children import as_saga, hand_on, new_child, start_child, wind_down
from milo_effects.effects import Limit
from milo_effects.registry import handles
from milo_effects.results import EffectResult, Resume
from milo_effects.semaphore import Semaphore
from milo_effects.task import OnDone, Saga, SagaTask


@handles(Limit)
def limit(effect: Limit, context: SagaTask, store: StorePort) -> EffectResult:
    """Run the effect as a child that is not started before it has a place."""
    source = as_saga(effect.effect, context)
    return EffectResult.wait(
        lambda resume: _Limited(effect.semaphore, source, context, resume).stop
    )


class _Limited:
    """A child that owns a place from when it is given one until it has ended.

    Given a place, the child is started in any case, so that it ends in any case, and its
    end gives the place back: a child cancelled on the way to its start ends unrun.
    """

    def __init__(
        self,
        semaphore: Semaphore,
        source: Saga | Callable[[], Any],
        parent: SagaTask,
        resume: Resume,
    ) -> None:
        self._semaphore = semaphore
        self._parent = parent
        self._resume = resume
        if semaphore.enter_at_once():
            self._child = new_child(parent, source, self._ended)
            self._begin = partial(start_child, self._child)
            self._begin()
        else:
            self._child = _late_child(parent, source, self._ended)
            self._begin = partial(start_child, self._child)
            semaphore.enter_in_turn(self._begin)

    def stop(self) -> str | None:
        """Leave the queue, or else cancel the child, whose end resumes the parent."""
        return None if self._semaphore.give_up(self._begin) else wind_down(self._child)

    def _ended(self, child: SagaTask) -> None:
        """Called on the worker that ended the child; who is told of it finds the place free."""
        try:
            self._semaphore.leave()
        finally:
            hand_on(child, self._parent, self._resume)


def _late_child(parent: SagaTask, source: Saga | Callable[[], Any], on_done: OnDone) -> SagaTask:
    """As ``new_child``, for one that waits: it sees what is dispatched from its start on.

    With a mark the journal would grow for as long as it waits.
    """
    child = SagaTask(parent.runtime, source, parent=parent.scope, quiet=True, values=parent.values)
    child.add_done_callback(on_done)
    return child
