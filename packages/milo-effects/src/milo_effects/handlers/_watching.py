"""TakeEvery, TakeLatest and TakeLeading: sagas started by actions, on the dispatching thread."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects._takers import Woken, both
from milo_effects.effects import TakeEvery, TakeLatest, TakeLeading, Throttle
from milo_effects.registry import handles
from milo_effects.results import Wait
from milo_effects.task import SagaTask


@handles(TakeEvery)
def take_every(effect: TakeEvery, context: SagaTask, store: StorePort) -> Wait:
    """Park for good and start a saga for each action."""
    return Watching(effect)


@handles(TakeLatest)
def take_latest(effect: TakeLatest, context: SagaTask, store: StorePort) -> Wait:
    """As ``take_every``; a key's new saga takes the place of its old one."""
    return _KeepingLatest(effect)


@handles(TakeLeading)
def take_leading(effect: TakeLeading, context: SagaTask, store: StorePort) -> Wait:
    """As ``take_every``; a key that has a saga gets no other."""
    return _KeepingFirst(effect)


class Watching(Wait):
    """A wait that nothing ends but an error, and the sagas that actions start meanwhile.

    What an action does is in ``start_for``. It runs under the store's lock, so in dispatch
    order, and whatever it raises ends the watch and goes to the saga that watches: the
    dispatch goes on.
    """

    __slots__ = ("_pass_action", "_scope", "effect")

    once = False

    def __init__(self, effect: TakeEvery | TakeLatest | TakeLeading | Throttle) -> None:
        self.effect = effect
        self._pass_action = _takes_an_argument(effect.saga)

    def begin(self) -> None:
        self._scope = self.task.scope
        self.task.runtime.takers.add(self.effect.action_type, self)

    def stop(self) -> None:
        self.task.runtime.takers.remove(self.effect.action_type, self)

    def take(self, action: Action) -> Woken:
        try:
            return self.start_for(action)
        except BaseException as error:  # a key function's, or no timer can be had
            self.stop()
            return self.fail(error)

    def fail(self, error: BaseException) -> Woken:
        return self.task.runtime.runner.resume(self, False, error)

    def start_for(self, action: Action) -> Woken:
        """Start a saga for ``action``, or none."""
        return self.spawn(self.new_child(action))

    def spawn(self, child: SagaTask) -> Woken:
        """Queue ``child``, without a word of pool pressure, whose callback is foreign code."""
        return self.task.runtime.runner.spawn(child)

    def new_child(self, action: Action) -> SagaTask:
        """A saga for ``action``, attached and with the values of the one that watches."""
        saga, task = self.effect.saga, self.task
        source = partial(saga, action) if self._pass_action else saga
        return SagaTask(task.runtime, source, parent=self._scope, values=task.values)


class _OneOfEachKey(Watching):
    """The running saga of each key; one that has ended is forgotten, and its key with it."""

    __slots__ = ("_lock", "_running")

    effect: TakeLatest | TakeLeading

    def __init__(self, effect: TakeLatest | TakeLeading) -> None:
        super().__init__(effect)
        self._lock = threading.Lock()
        self._running: dict[Any, SagaTask] = {}

    def key_of(self, action: Action) -> Any:
        """What the effect's function says; all actions are of one key if there is none."""
        return None if self.effect.key is None else self.effect.key(action)

    def running(self, key: Any) -> SagaTask | None:
        """The saga of ``key``, if one runs."""
        with self._lock:
            return self._running.get(key)

    def start_as(self, key: Any, action: Action) -> Woken:
        """Start the saga of ``key``."""
        child = self.new_child(action)
        child.add_done_callback(partial(self._forget, key))
        with self._lock:
            self._running[key] = child
        return self.spawn(child)

    def _forget(self, key: Any, child: SagaTask) -> None:
        """Called on the worker that ended the child, perhaps after another took its place."""
        with self._lock:
            if self._running.get(key) is child:
                del self._running[key]


class _KeepingLatest(_OneOfEachKey):
    """Cancels a key's saga before it starts the next."""

    __slots__ = ()

    def start_for(self, action: Action) -> Woken:
        key = self.key_of(action)
        before = self.running(key)
        if before is not None:
            # Told before the next one is queued; what is below it, once the lock is released.
            before.runtime.runner.request_cancel(before)
            return both(self.start_as(key, action), before.cancel_tree)
        return self.start_as(key, action)


class _KeepingFirst(_OneOfEachKey):
    """Starts nothing while a key has a saga."""

    __slots__ = ()

    def start_for(self, action: Action) -> Woken:
        key = self.key_of(action)
        return None if self.running(key) is not None else self.start_as(key, action)


def _takes_an_argument(saga: Callable[..., Any]) -> bool:
    """Whether the action can be passed; a function without parameters is called bare."""
    try:
        inspect.signature(saga).bind(None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True
