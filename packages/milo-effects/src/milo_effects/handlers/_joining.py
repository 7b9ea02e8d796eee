"""Join and Cancel: what a saga does with the task of another."""

from __future__ import annotations

import threading
from typing import Any

from milo_core import StateError
from milo_core.runtime import StorePort
from milo_effects.children import failure
from milo_effects.effects import Cancel, Join
from milo_effects.effects.joining import SELF
from milo_effects.registry import handles
from milo_effects.results import EffectResult, Reply, Wait
from milo_effects.task import SagaTask


@handles(Join)
def join(effect: Join, context: SagaTask, store: StorePort) -> Reply:
    """Wait for every task, or the first that fails."""
    tasks = effect.task if isinstance(effect.task, tuple) else (effect.task,)
    for task in tasks:
        _refuse_hopeless(task, context)
    return _Joining(effect, tasks) if tasks else EffectResult.send(())


def _refuse_hopeless(task: SagaTask, context: SagaTask) -> None:
    """Raise if ``task`` is the saga itself, or waits for it: neither would ever go on."""
    waiting: object = context
    while isinstance(waiting, SagaTask):
        if waiting is task:
            raise StateError(
                f"a saga cannot wait for itself: Join was given {task.saga_id}, which "
                + ("yields it" if task is context else "waits for the saga that yields it")
            )
        waiting = waiting.parent if waiting.quiet else None


class _Joining(Wait):
    """One ``Join`` that waits, and the callback it leaves with each task."""

    __slots__ = ("_effect", "_left", "_lock", "_tasks")

    def __init__(self, effect: Join, tasks: tuple[SagaTask, ...]) -> None:
        self._effect = effect
        self._tasks = dict.fromkeys(tasks)  # one that is named twice ends once
        self._left = len(self._tasks)
        self._lock = threading.Lock()

    def begin(self) -> None:
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def stop(self) -> None:
        for task in self._tasks:
            task.remove_done_callback(self._ended)

    def _ended(self, task: SagaTask) -> None:
        """Called on the worker that ended the task, or from ``begin``."""
        if task.error is not None:
            self.stop()
            self.throw(failure(task))
            return
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self.send(self._results())

    def _results(self) -> Any:
        joined = self._effect.task
        if isinstance(joined, tuple):
            return tuple(task.value for task in joined)
        return joined.value


@handles(Cancel)
def cancel(effect: Cancel, context: SagaTask, store: StorePort) -> EffectResult:
    """Cancel, and look whether this saga is among those that were reached."""
    target = context if effect.task is SELF else effect.task
    for task in target if isinstance(target, tuple) else (target,):
        task.cancel_tree()
    return EffectResult.cont()
