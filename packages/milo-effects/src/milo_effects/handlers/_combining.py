"""Timeout, Race and All: waiting for other sagas or effects."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

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
from milo_effects.errors import SagaCancelled
from milo_effects.registry import handles
from milo_effects.results import WINDING_DOWN, EffectResult, Resume
from milo_effects.task import SagaTask


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
        self._expired = False
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
        self._expired = True
        self._resume.throw(TimeoutError(f"Effect timed out after {self._seconds}s"))
        self._child.runtime.runner.set_aside(self._child)
        self._child.cancel_tree()

    def _ended(self, child: SagaTask) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._expired:
            report(child)
        else:
            hand_on(child, self._parent, self._resume)


@handles(Race)
def race(effect: Race, context: SagaTask, store: StorePort) -> EffectResult:
    """Let the first to end decide."""
    sagas = _sagas(effect, effect.sagas, context)
    if not sagas:
        raise StateError("Race needs at least one saga, was given none")
    return EffectResult.wait(lambda resume: _Group(context, sagas, resume, race=True).stop)


@handles(All)
def all_of(effect: All, context: SagaTask, store: StorePort) -> EffectResult:
    """Collect every result, or the first error."""
    sagas = _sagas(effect, effect.sagas, context)
    if not sagas:
        return EffectResult.send(())
    return EffectResult.wait(lambda resume: _Group(context, sagas, resume, race=False).stop)


def _sagas(effect: Race | All, given: Any, context: SagaTask) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Iterable) or hasattr(given, "send"):
        name = type(effect).__name__
        raise StateError(
            f"{name} takes one tuple of sagas, was given {given!r}; write {name}((a, b))"
        )
    return [as_saga(each, context) for each in given]


class _Group:
    """Children that run at the same time, and what their parent is told once all have ended.

    The first to end decides a race; the first to fail decides an ``All``. What is decided
    cancels the others; the parent goes on when the last of them has ended.
    """

    def __init__(self, parent: SagaTask, sagas: list[Any], resume: Resume, *, race: bool) -> None:
        self._lock = threading.Lock()
        self._parent = parent
        self._resume = resume
        self._race = race
        self._decided_by: SagaTask | None = None
        self._left = len(sagas)
        self._children = [new_child(parent, saga, self._ended) for saga in sagas]
        for child in reversed(self._children):
            start_child(child)

    def stop(self) -> str:
        """Cancel every child; the last one's end resumes the parent."""
        self._cancel_all_but(None)
        return WINDING_DOWN

    def _cancel_all_but(self, kept: SagaTask | None) -> None:
        for child in self._children:
            if child is not kept:
                child.cancel_tree()

    def _ended(self, child: SagaTask) -> None:
        """Called on the worker that ended the child."""
        with self._lock:
            decides = self._decided_by is None and self._decides(child)
            if decides:
                self._decided_by = child
        if decides:
            self._cancel_all_but(child)
        else:
            report(child)
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._answer()

    def _decides(self, child: SagaTask) -> bool:
        if self._race:
            return not isinstance(child.error, SagaCancelled)
        return child.error is not None

    def _answer(self) -> None:
        if self._decided_by is not None:
            hand_on(self._decided_by, self._parent, self._resume)
        elif self._race:  # all were cancelled
            hand_on(self._children[-1], self._parent, self._resume)
        else:
            self._resume.send(tuple(child.value for child in self._children))
