"""The runtime: what milo-core's ``Store`` finds by entry point and runs its sagas with.

It wires the parts together and knows the order in which they come and go; what they do is
theirs. Foreign code runs on workers, except listeners and middleware of a dispatch, and the
pressure callback, which run on the thread that dispatches or submits.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Generator, Iterable
from importlib import import_module
from random import Random
from types import GeneratorType
from typing import Any

from milo_core import Action
from milo_core._sharing import share
from milo_core.runtime import PressureCallback, RuntimeHost
from milo_effects._commands import command_sagas
from milo_effects._loop import CoroutineRunner, EventLoopThread
from milo_effects._runner import Runner, SchedulerFactory, not_a_saga
from milo_effects._scheduler import Scheduler
from milo_effects._takers import Takers
from milo_effects._timers import Clock, TimerHeap
from milo_effects.context import SagaContext
from milo_effects.monitors import SagaMonitor
from milo_effects.registry import EffectRegistry
from milo_effects.task import SagaTask

_log = logging.getLogger(__name__)

CLEANUP_SECONDS = 5.0
"""How long ``shutdown`` lets cancelled sagas clean up before it closes their generators."""


class SagaRuntime:
    """Runs one store's sagas and commands.

    Args:
        host: what the store lends its runtime.
        registry: the effect handlers; by default the built-in ones and installed plugins.
        clock, loop, scheduler, random: time, coroutines, threads and chance. The simulator of
            ``milo_effects.testing`` replaces them by its own.
        monitors: are told of every saga from the first on; see ``install_monitor``.

    >>> from functools import partial
    >>> from milo_core import Store
    >>> registry = EffectRegistry()          # plus handlers of your own
    >>> store = Store(lambda s, a: s, None, runtime=partial(SagaRuntime, registry=registry))
    """

    def __init__(
        self,
        host: RuntimeHost,
        *,
        registry: EffectRegistry | None = None,
        clock: Clock | None = None,
        loop: CoroutineRunner | None = None,
        scheduler: SchedulerFactory = Scheduler,
        random: Random | None = None,
        monitors: Iterable[SagaMonitor] = (),
    ) -> None:
        self._host = host
        self.put = host.put
        """Dispatch for a saga, whose next ``Take`` will look from this action on."""
        self.registry = registry or EffectRegistry()
        self.clock = clock or TimerHeap()
        self.loop = loop or EventLoopThread()
        self.random = random or Random()
        """Where handlers get their randomness from, such as the jitter of a ``Retry``."""
        self.takers = Takers(host)
        workers = host.max_workers or default_workers()
        self.runner = Runner(host.store, self.registry, workers, scheduler)
        self._scheduler = self.runner.scheduler
        self.monitors = self.runner.monitors
        for monitor in monitors:
            self.monitors.install(monitor)
        share(self, self.put)
        self._shutting_down = threading.Lock()
        _runtimes.add(self)

    # What the store asks for

    @property
    def active(self) -> int:
        """How many sagas and commands run or are queued."""
        return self._scheduler.active

    def on_action(self, action: Action) -> Callable[[], None] | None:
        """Wake the sagas that wait for ``action``; under the store's lock."""
        return self.takers.on_action(action)

    def start(self, sagas: tuple[Any, ...], cmds: tuple[Any, ...]) -> None:
        """Start what a reducer asked for: sagas, then commands, in their order."""
        for saga in sagas:
            self._submit_new(SagaTask(self, saga))
        for command in cmds:
            self._submit_new(
                *[SagaTask(self, each) for each in command_sagas(command, self._host.store)]
            )

    def run_saga(
        self, saga: Any, cancel: threading.Event | None, context: SagaContext | None
    ) -> SagaContext:
        """Start one saga, in ``context`` if there is one; return that, or its own context."""
        if not (type(saga) is GeneratorType or callable(saga) or isinstance(saga, Generator)):
            raise not_a_saga(saga, None)
        if context is not None and not isinstance(context, SagaContext):
            raise TypeError(f"context takes a SagaContext, was given {context!r}")
        if cancel is not None and not isinstance(cancel, threading.Event):
            raise TypeError(f"cancel takes a threading.Event, was given {cancel!r}")
        name = None if context is None else context.saga_id
        task = SagaTask(self, saga, parent=context, saga_id=name)
        if cancel is not None:
            task.watch(cancel)
        self._submit_new(task)
        if self._is_closing():
            task.cancel_tree()
        return task if context is None else context

    def wait_idle(self, timeout: float | None) -> bool:
        """Block until nothing runs or is queued."""
        return self._scheduler.wait_idle(timeout)

    def shutdown(self) -> None:
        """Cancel every saga, let it clean up, and end all threads. Once; later calls do nothing.

        Waits for calls in progress, except those whose ``Timeout`` has run out, and, when
        called from a saga or call itself, that one. Called from a coroutine, on whose thread
        all the others end, it returns at once and the rest happens on a thread of its own.
        """
        if self.loop.is_current():
            threading.Thread(target=self.shutdown, name="milo-shutdown").start()
            return
        if not self._shutting_down.acquire(blocking=False):
            return
        for task in self.runner.alive():
            if not task.quiet:  # or it may be part of a cleanup; who waits for it, cancels it
                task.cancel_tree()
                self.runner.request_cancel(task)  # another cancel_tree may still be at it
        if not self.runner.wait_ended(CLEANUP_SECONDS):
            self.runner.close_all()
            self.runner.wait_ended(None)
        self.clock.close()
        self.loop.close()
        self._scheduler.stop()
        _runtimes.discard(self)

    # What handlers ask for

    def submit(self, task: SagaTask) -> SagaTask:
        """Queue a new task and tell of pool pressure."""
        self._start(task)
        if self._host.on_pool_pressure is not None:
            self._tell_pressure(self._host.on_pool_pressure)
        return task

    def _submit_new(self, *tasks: SagaTask) -> None:
        """The same for sagas that no other saga has started; pressure is told once for all."""
        for task in tasks:
            if self.monitors.installed:
                self.monitors.expect(task)
            self._start(task)
        if self._host.on_pool_pressure is not None:
            self._tell_pressure(self._host.on_pool_pressure)

    def _start(self, task: SagaTask) -> None:
        self.runner.start(task)
        if task.parent is None and self._is_closing():
            task.cancel_tree()  # it may have come after everything was cancelled

    def _is_closing(self) -> bool:
        return self._shutting_down.locked()

    def _tell_pressure(self, tell: PressureCallback) -> None:
        active, workers = self._scheduler.active, self._scheduler.max_workers
        if active < workers * self._host.pool_pressure_threshold:
            return
        try:
            tell(active, workers)
        except Exception:  # foreign code; the work is under way all the same
            _log.exception("on_pool_pressure raised")


def start_runtime(host: RuntimeHost) -> SagaRuntime:
    """The factory behind the entry point ``milo.runtime``."""
    return SagaRuntime(host)


def default_workers() -> int:
    """For stores that name no number: what kida advises for I/O, else ``cpus + 4``; at most 8."""
    try:
        kida = import_module("kida")
        advice = kida.get_optimal_workers(8, workload_type=kida.WorkloadType.IO_BOUND)
    except (ImportError, AttributeError):  # not there, or only a folder of that name
        return min(8, (os.cpu_count() or 1) + 4)
    return max(1, min(8, int(advice)))


_runtimes: weakref.WeakSet[SagaRuntime] = weakref.WeakSet()


if hasattr(os, "register_at_fork"):
    # A forked child has none of the threads that its exit would wait for.
    os.register_at_fork(after_in_child=_runtimes.clear)


@atexit.register
def _finish_all() -> None:
    """At the interpreter's end: let running work finish; what only waits is cancelled."""
    for runtime in list(_runtimes):
        runtime.wait_idle(None)
        runtime.shutdown()
