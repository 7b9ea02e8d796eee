"""Monitors: being told of everything that sagas do.

Every runner has one ``Monitors``. As long as nothing is installed there it is only asked
whether that is so, at the start of a saga, at each of its turns and at its end; between these
the runner calls the generator's own methods. With a monitor installed, a turn begins by
putting two functions in their place that report what passes through them. So whatever is told
of one saga is told by the worker that steps it, one event after the other, without any lock.

>>> from milo_core import Store
>>> from milo_effects import Call, SagaMonitor, install_monitor
>>> class Calls(SagaMonitor):
...     def effect_answered(self, task, effect, value):
...         print(f"{effect.fn.__name__}{effect.args} = {value}")
>>> def saga():
...     yield Call(max, (3, 4))
>>> with Store(lambda state, action: state, None) as store:
...     undo = install_monitor(store, Calls())
...     store.run_saga(saga).result()
max(3, 4) = 4
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from milo_core import StateError
from milo_core._sharing import share
from milo_effects.errors import SagaCancelled
from milo_effects.task import Cancelling, SagaTask

if TYPE_CHECKING:
    from milo_core import Store
    from milo_effects.context import SagaContext

_log = logging.getLogger(__name__)

Living: TypeAlias = Callable[[], list[SagaTask]]
Undo: TypeAlias = Callable[[], None]
Step: TypeAlias = Callable[[Any], Any]

_KEY: Final = __name__
"""Where in ``SagaTask.local`` a saga's ``_Watched`` is."""
_NOTHING: Final = object()


class SagaMonitor:
    """What a monitor can be told; override what you want to hear.

    The events of one saga come in order, on the worker that steps it, and no lock is held;
    those of several sagas come at the same time. The saga waits until the monitor returns.
    What a monitor raises is logged, and disturbs neither the saga nor other monitors, nor do
    context variables that it sets; those of the saga can be read.

    Sagas that run on behalf of another's effect, such as the children of a ``Race``, are
    told of as well: their tasks are ``quiet``.
    """

    def attached(self, living: Living) -> None:
        """The monitor is about to be told of a store's sagas; called by who installs it.

        ``living()`` are, at any time, those that are queued, run or wait: also those that
        were started before, of which ``saga_started`` is not told any more.
        """

    def saga_started(self, task: SagaTask, started_by: SagaTask | None) -> None:
        """The saga is about to take its first step, or was cancelled before that.

        ``started_by`` is the saga in whose scope it runs, or that forked it detached;
        ``None`` for those that the program or a reducer has started.
        """

    def effect_yielded(self, task: SagaTask, effect: object) -> None:
        """The saga has yielded ``effect``, which is carried out next."""

    def effect_answered(self, task: SagaTask, effect: object, value: object) -> None:
        """``value`` is sent to the saga now, for the effect it yielded last."""

    def effect_failed(self, task: SagaTask, effect: object, error: BaseException) -> None:
        """``error`` is thrown into the saga now, for the effect it yielded last."""

    def saga_cancelled(self, task: SagaTask) -> None:
        """``SagaCancelled`` is thrown into the saga now. The effect before gets no answer."""

    def saga_ended(self, task: SagaTask) -> None:
        """The saga has ended: ``task.error`` is why, or ``None`` and ``task.value`` its result."""


def install_monitor(store: Store[Any], monitor: SagaMonitor) -> Undo:
    """Tell ``monitor`` of the sagas of ``store``, until the returned function is called.

    A saga that takes its turn just now is watched from its next one on. Of one that waits,
    the answer to what it waits for is told only if other monitors were told of the effect.
    Once the returned function has returned, no event begins; calling it twice is harmless.

    Raises:
        TypeError: ``monitor`` is no ``SagaMonitor``.
        StateError: the store runs its sagas with another runtime, or has been shut down
            before it had one.
    """
    runtime = store.runtime
    monitors = getattr(runtime, "monitors", None)
    if not isinstance(monitors, Monitors):
        raise StateError(
            f"monitors are told of what a SagaRuntime runs, and this store has {runtime!r}; "
            "leave out Store(runtime=...)"
        )
    return monitors.install(monitor)


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
        installed = _Installed(monitor)
        with self._lock:
            if not self.installed:
                self._era += 1
            self.installed = (*self.installed, installed)

        def undo() -> None:
            with self._lock:
                self.installed = tuple(each for each in self.installed if each is not installed)

        return undo

    # For the runner, while a monitor is installed

    def expect(self, task: SagaTask, running: SagaTask | None) -> None:
        """``task`` is about to be queued; ``running`` is the task this thread runs, if any.

        Nobody is told before its first turn, for the caller may hold a lock.
        """
        if task.local is None:
            task.local = {}
        if _KEY not in task.local:
            started_by = task_above(task.parent) or running
            task.local[_KEY] = _Watched(self._era, started_by, is_started=False)

    def watch(self, task: SagaTask, send: Step, throw: Step) -> tuple[Step, Step]:
        """``send`` and ``throw``, for one turn, so that what passes through them is told."""
        watched = self._watched(task)
        self._tell_started(task, watched)

        def step(advance: Step, value: Any) -> Any:
            watched.effect, watched.era = _NOTHING, self._era
            effect = advance(value)
            watched.effect = effect
            self._tell(lambda monitor: monitor.effect_yielded(task, effect))
            return effect

        def watched_send(value: Any) -> Any:
            effect = watched.effect
            if effect is not _NOTHING:
                self._tell(lambda monitor: monitor.effect_answered(task, effect, value))
            return step(send, value)

        def watched_throw(error: BaseException) -> Any:
            effect = watched.effect
            if not watched.is_cancelled and _is_cancellation(task, error):
                watched.is_cancelled = True
                self._tell(lambda monitor: monitor.saga_cancelled(task))
            elif effect is not _NOTHING:
                self._tell(lambda monitor: monitor.effect_failed(task, effect, error))
            return step(throw, error)

        return watched_send, watched_throw

    def ended(self, task: SagaTask) -> None:
        """Tell of the end; of the start before, if the task never had a turn."""
        watched = self._watched(task)
        self._tell_started(task, watched)
        self._tell(lambda monitor: monitor.saga_ended(task))

    def _watched(self, task: SagaTask) -> _Watched:
        """What has been told of ``task``: nothing yet, if it was queued before this era."""
        if task.local is None:
            task.local = {}
        watched: _Watched | None = task.local.get(_KEY)
        if watched is None or watched.era != self._era:
            watched = task.local[_KEY] = _Watched(self._era, None, is_started=True)
        return watched

    def _tell_started(self, task: SagaTask, watched: _Watched) -> None:
        if not watched.is_started:
            started_by, watched.started_by = watched.started_by, None
            watched.is_started = True
            self._tell(lambda monitor: monitor.saga_started(task, started_by))

    def _tell(self, event: Callable[[SagaMonitor], None]) -> None:
        for each in self.installed:
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

    __slots__ = ("has_failed", "monitor")

    def __init__(self, monitor: SagaMonitor) -> None:
        self.monitor = monitor
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


def task_above(context: SagaContext | None) -> SagaTask | None:
    """The nearest saga in whose scope ``context`` is; it may be one itself."""
    while context is not None and not isinstance(context, SagaTask):
        context = context._parent
    return context


def _is_cancellation(task: SagaTask, error: BaseException) -> bool:
    """Whether ``error`` is what the runner cancels ``task`` with, not one that an effect gave."""
    delivered = task.cancelling in (Cancelling.DELIVERED, Cancelling.CLOSING)
    return delivered and error is task.value and isinstance(error, SagaCancelled)
