"""Timeout, Race and All: waiting for other sagas or effects."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from milo_core import StateError
from milo_core.runtime import StorePort
from milo_effects._runner import not_a_saga
from milo_effects._timers import Timer
from milo_effects.children import (
    as_saga,
    hand_on,
    new_child,
    report,
    start_child,
    wind_down,
)
from milo_effects.effects import All, Race, Timeout
from milo_effects.errors import EffectTimeout, SagaCancelled
from milo_effects.registry import handles
from milo_effects.results import WINDING_DOWN, EffectResult, Resume
from milo_effects.task import Saga, SagaTask

Keys: TypeAlias = list[Any] | None
"""A mapping's keys, in its order; a tuple has none."""

Source: TypeAlias = Saga | Callable[[], Any]


@handles(Timeout)
def timeout(effect: Timeout, context: SagaTask, store: StorePort) -> EffectResult:
    """Run the effect as a child; its first step, on a worker, starts the clock."""
    source = as_saga(effect.effect, context)

    return EffectResult.wait(lambda resume: _Timed(effect, source, context, resume).stop)


class _Timed:
    """A child, and the timer that its first step sets."""

    def __init__(self, effect: Timeout, source: Any, parent: SagaTask, resume: Resume) -> None:
        self._seconds = effect.seconds
        self._source = source
        self._resume = resume
        self._parent = parent
        self._timer: Timer | None = None
        self._decided = threading.Lock()
        """Taken for good by what comes first, the child's end or its time's."""
        self._child = new_child(parent, self._begin, self._ended)
        self.stop = partial(wind_down, self._child)
        start_child(self._child)

    def _begin(self) -> Any:
        """Called on the child's worker: the time runs from here."""
        self._timer = self._child.clock.call_later(self._seconds, self._expire)
        if not callable(self._source):
            return self._source
        saga = self._source()
        if not isinstance(saga, Generator):
            raise not_a_saga(self._source, saga)
        return saga

    def _expire(self) -> None:
        """The parent goes on at once; a call that cannot be stopped keeps its worker."""
        if not self._decided.acquire(blocking=False):
            return
        self._resume.throw(EffectTimeout(f"Effect timed out after {self._seconds}s"))
        self._child.runtime.runner.set_aside(self._child)
        self._child.cancel_tree()

    def _ended(self, child: SagaTask) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._decided.acquire(blocking=False):
            hand_on(child, self._parent, self._resume)
        else:
            report(child)


@handles(Race)
def race(effect: Race, context: SagaTask, store: StorePort) -> EffectResult:
    """Let the first to end decide."""
    keys, sagas = _named(effect, effect.sagas, context)
    if not sagas:
        raise StateError("Race needs at least one saga, was given none")
    return EffectResult.wait(lambda resume: _Racing(context, keys, sagas, resume).stop)


@handles(All)
def all_of(effect: All, context: SagaTask, store: StorePort) -> EffectResult:
    """Collect every result, or the first error."""
    keys, sagas = _named(effect, effect.sagas, context)
    if not sagas:
        return EffectResult.send(() if keys is None else {})
    return EffectResult.wait(
        lambda resume: _Gathering(context, keys, sagas, resume, effect.limit).stop
    )


def _named(effect: Race | All, given: Any, context: SagaTask) -> tuple[Keys, list[Source]]:
    """What was given, apart: the keys of a mapping, and the sagas as something to run."""
    if isinstance(given, Mapping):
        return list(given), [as_saga(each, context) for each in given.values()]
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return None, [as_saga(each, context) for each in given]
    name = type(effect).__name__
    raise StateError(
        f"{name} takes one tuple or mapping of sagas or effects, was given {given!r:.200}; "
        f"write {name}((a, b)) or {name}({{'a': a, 'b': b}})"
    )


class _Group(ABC):
    """Children that run at the same time, and what their parent is told once all have ended.

    At most ``limit`` run at once; as one ends, the next is made and started. What is decided
    early, or stopped, cancels those that run and starts no more; the parent goes on when the
    last one has ended.
    """

    def __init__(
        self,
        parent: SagaTask,
        keys: Keys,
        sagas: list[Source],
        resume: Resume,
        limit: int | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._parent = parent
        self._keys = keys
        self._resume = resume
        self._decided_by: SagaTask | None = None
        self._ahead = deque(sagas)
        self._children: list[SagaTask] = []
        self._running = 0
        with self._lock:
            first = [self._next() for _ in range(min(len(sagas), limit or len(sagas)))]
        for child in reversed(first):
            start_child(child)

    @abstractmethod
    def _decides(self, child: SagaTask) -> bool:
        """Whether the end of this child decides the outcome."""

    @abstractmethod
    def _answer(self) -> None:
        """Resume the parent; all children have ended."""

    def stop(self) -> str:
        """Cancel every child; the last one's end resumes the parent."""
        with self._lock:
            self._ahead.clear()
        self._cancel_all_but(None)
        return WINDING_DOWN

    def _next(self) -> SagaTask:
        """The next child, to be started once the lock is released."""
        child = new_child(self._parent, self._ahead.popleft(), self._ended)
        self._children.append(child)
        self._running += 1
        return child

    def _cancel_all_but(self, kept: SagaTask | None) -> None:
        """Called with none ahead, so that the children are all there will be."""
        for child in self._children:
            if child is not kept:
                child.cancel_tree()

    def _ended(self, child: SagaTask) -> None:
        """Called on the worker that ended the child."""
        with self._lock:
            decides = self._decided_by is None and self._decides(child)
            if decides:
                self._decided_by = child
                self._ahead.clear()
        if decides:
            self._cancel_all_but(child)
        else:
            report(child)
        with self._lock:
            self._running -= 1
            following = self._next() if self._ahead else None
            last = self._running == 0
        if following is not None:
            following.runtime.runner.start(following)  # behind those that began with this one
        elif last:
            self._answer()


class _Racing(_Group):
    """The first to end that was not cancelled decides."""

    def _decides(self, child: SagaTask) -> bool:
        return not isinstance(child.error, SagaCancelled)

    def _answer(self) -> None:
        child = self._decided_by or self._children[-1]  # the latter when all were cancelled
        if child.error is None and self._keys is not None:
            self._resume.send({self._keys[self._children.index(child)]: child.value})
        else:
            hand_on(child, self._parent, self._resume)


class _Gathering(_Group):
    """The first to fail decides."""

    def _decides(self, child: SagaTask) -> bool:
        return child.error is not None

    def _answer(self) -> None:
        if self._decided_by is not None:
            hand_on(self._decided_by, self._parent, self._resume)
            return
        values = [child.value for child in self._children]
        if self._keys is None:
            self._resume.send(tuple(values))
        else:  # fewer values than keys when stopped, but then nobody is sent them
            self._resume.send(dict(zip(self._keys, values, strict=False)))
