"""The seam through which monitors are told of everything that sagas do.

Every runner has one ``Monitors``. As long as nothing is installed there it is only asked
whether that is so: at the start of a saga, at each of its turns and at its end. Between these
the runner calls the generator's own methods. With a monitor installed, a turn begins by
putting two functions in their place that report what passes through them. So whatever is told
of one saga is told by the worker that steps it, one event after the other, without any lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from milo_core._sharing import share
from milo_effects.errors import SagaCancelled
from milo_effects.monitors import Living, SagaMonitor, Undo
from milo_effects.task import Cancelling, Saga, SagaTask

if TYPE_CHECKING:
    from milo_effects.context import SagaContext

_log = logging.getLogger(__name__)

Running: TypeAlias = Callable[[], SagaTask | None]
Step: TypeAlias = Callable[[Any], Any]

_KEY: Final = __name__
"""Where in ``SagaTask.local`` a saga's ``_Watched`` is."""
_NOTHING: Final = object()


class Steps(NamedTuple):
    """What the runner steps in a generator's place while a monitor is installed."""

    send: Step
    throw: Step


class Monitors:
    """The monitors of one runner, and what they have been told."""

    def __init__(self, living: Living) -> None:
        self.installed: tuple[_Installed, ...] = ()
        """Replaced, never changed, under the lock; workers read it without."""
        self._living = living
        self._lock = threading.Lock()
        self._era = 0
        """Counts the times that there was none and then one: what was known before is stale."""
        share(self)

    def install(self, monitor: SagaMonitor) -> Undo:
        """As ``install_monitor``."""
        if not isinstance(monitor, SagaMonitor):
            raise TypeError(
                f"a monitor is an object of a subclass of SagaMonitor, was given {monitor!r:.200}"
            )
        monitor.attached(self._living)
        with self._lock:
            if not self.installed:
                self._era += 1
            installed = _Installed(monitor, self._era)
            self.installed = (*self.installed, installed)

        def undo() -> None:
            with self._lock:
                self.installed = tuple(each for each in self.installed if each is not installed)

        return undo

    # For the runner, while a monitor is installed

    def expect(self, task: SagaTask, running: Running | None = None) -> None:
        """``task`` is about to be queued. Of several calls for it the first one counts.

        Nobody is told before its first turn, for the caller may hold a lock. ``running`` finds
        the task that this thread runs, which is what has started one that is in no saga's
        scope; the store, which knows no saga to be the starter, gives none.
        """
        if task.local is None:
            task.local = {}
        if _KEY not in task.local:
            started_by = task_above(task.parent)
            if started_by is None and running is not None:
                started_by = running()
            task.local[_KEY] = _Watched(_era_of(self.installed), started_by, is_started=False)

    def watch(self, task: SagaTask, saga: Saga) -> Steps:
        """What steps ``saga`` for one turn in its place, so that what passes through is told."""
        watched = self._watched(task)
        self._tell_started(task, watched)

        def step(advance: Step, value: Any) -> Any:
            watched.effect = _NOTHING
            effect = advance(value)
            installed = self.installed
            watched.effect, watched.era = effect, _era_of(installed)
            self._tell(installed, lambda monitor: monitor.effect_yielded(task, effect))
            return effect

        def watched_send(value: Any) -> Any:
            effect = watched.effect
            if effect is not _NOTHING:
                self._tell(
                    self.installed, lambda monitor: monitor.effect_answered(task, effect, value)
                )
            return step(saga.send, value)

        def watched_throw(error: BaseException) -> Any:
            effect = watched.effect
            if not watched.is_cancelled and _is_cancellation(task, error):
                watched.is_cancelled = True
                self._tell(self.installed, lambda monitor: monitor.saga_cancelled(task))
            elif effect is not _NOTHING:
                self._tell(
                    self.installed, lambda monitor: monitor.effect_failed(task, effect, error)
                )
            return step(saga.throw, error)

        return Steps(watched_send, watched_throw)

    def ended(self, task: SagaTask) -> None:
        """Tell of the end; of the start before, if the task never had a turn."""
        watched = self._watched(task)
        self._tell_started(task, watched)
        self._tell(self.installed, lambda monitor: monitor.saga_ended(task))

    def _watched(self, task: SagaTask) -> _Watched:
        """What has been told of ``task``: nothing yet, if it was queued before this era."""
        if task.local is None:
            task.local = {}
        era = _era_of(self.installed)
        watched: _Watched | None = task.local.get(_KEY)
        if watched is None or watched.era != era:
            watched = task.local[_KEY] = _Watched(era, None, is_started=True)
        return watched

    def _tell_started(self, task: SagaTask, watched: _Watched) -> None:
        if not watched.is_started:
            started_by, watched.started_by = watched.started_by, None
            watched.is_started = True
            self._tell(self.installed, lambda monitor: monitor.saga_started(task, started_by))

    def _tell(
        self, installed: tuple[_Installed, ...], event: Callable[[SagaMonitor], None]
    ) -> None:
        for each in installed:
            try:
                copy_context().run(event, each.monitor)
            except BaseException as error:  # foreign code; the saga goes on
                self._report(each, error)

    def _report(self, installed: _Installed, error: BaseException) -> None:
        with self._lock:
            level = logging.DEBUG if installed.has_failed else logging.ERROR
            installed.has_failed = True
        _log.log(
            level,
            "the monitor %s raised; its next errors are logged as DEBUG",
            type(installed.monitor).__qualname__,
            exc_info=error,
        )


class _Installed:
    """One call of ``install``; two with the same monitor are two."""

    __slots__ = ("era", "has_failed", "monitor")

    def __init__(self, monitor: SagaMonitor, era: int) -> None:
        self.monitor = monitor
        self.era = era
        self.has_failed = False


class _Watched:
    """What monitors know of one saga. Kept with it, and changed by its worker alone."""

    __slots__ = ("effect", "era", "is_cancelled", "is_started", "started_by")

    def __init__(self, era: int, started_by: SagaTask | None, *, is_started: bool) -> None:
        self.era = era
        self.started_by = started_by
        """Kept until the start has been told."""
        self.is_started = is_started
        self.is_cancelled = False
        self.effect: object = _NOTHING
        """What it has yielded and not been answered yet."""


def _era_of(installed: tuple[_Installed, ...]) -> int:
    """All that are installed at one time are of one era; 0 is none."""
    return installed[0].era if installed else 0


def task_above(context: SagaContext | None) -> SagaTask | None:
    """The nearest saga in whose scope ``context`` is; it may be one itself."""
    while context is not None and not isinstance(context, SagaTask):
        context = context._parent
    return context


def _is_cancellation(task: SagaTask, error: BaseException) -> bool:
    """Whether ``error`` is what the runner cancels ``task`` with, not one that an effect gave."""
    delivered = task.cancelling in (Cancelling.DELIVERED, Cancelling.CLOSING)
    return delivered and error is task.value and isinstance(error, SagaCancelled)
