"""Monitors: being told of everything that sagas do.

``LoggingMonitor`` and ``TreeMonitor`` are ready to use; this is how to write another one. What
monitors cost, and how they are told, is in ``_monitoring``.

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

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from milo_core import StateError
from milo_effects.task import SagaTask

if TYPE_CHECKING:
    from milo_core import Store

Living: TypeAlias = Callable[[], list[SagaTask]]
Undo: TypeAlias = Callable[[], None]


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
    Once the returned function has returned, nothing more is told but what is on its way just
    then; calling it twice is harmless.

    Raises:
        TypeError: ``monitor`` is no ``SagaMonitor``.
        StateError: the store runs its sagas with another runtime, or has been shut down
            before it had one.
    """
    runtime = store.runtime
    monitors = getattr(runtime, "monitors", None)
    if monitors is None:
        raise StateError(
            f"monitors are told of what a SagaRuntime runs, and this store has {runtime!r}; "
            "leave out Store(runtime=...)"
        )
    undo: Undo = monitors.install(monitor)
    return undo
