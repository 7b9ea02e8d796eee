"""The queue of ready tasks and the worker threads that take from it.

``Scheduler.lock`` guards the queue, the counts, and every task's state. It is held for a few
instructions at a time and never while foreign code runs.

A task is *active* from the moment it is queued until its worker is finished with that slice.
At most one woken worker is on its way at any time: it is sure to look at the queue, and on
taking a task it wakes the next one if more are waiting. So a burst of work does not wake
threads that find nothing, and no task waits while a worker sleeps.

A worker that is awake takes its next task without the lock, for the queue itself gives each
task to one taker, and what a worker has begun is counted by itself. It takes the lock when it
finds nothing, when it was woken, and when it was given up: to sleep, to pass the waking on, to
end; and to have counted what it has finished since.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context
from time import sleep
from typing import TypeAlias

from milo_core._locking import first_try, wait_for
from milo_core._sharing import share
from milo_core.errors import StateError
from milo_effects._threads import BackgroundThread
from milo_effects.task import SagaTask, TaskState

_log = logging.getLogger(__name__)

Wake: TypeAlias = Callable[[], None]
"""Wakes or starts one worker; called without any lock."""


_STAND_BACK = 100e-6
"""How many seconds a woken worker watches those that are awake, again and again."""
_SLOW = 2
"""How often in a row it has to find them slow to join them; the system may just have paused one."""
_BRISK = 16
"""How many slices each of them has to begin meanwhile, so that it would be in their way.

Or one pulse: a saga that goes on for long says by it that what it does is done in no time.
"""

_QUEUED = TaskState.QUEUED
_RUNNING = TaskState.RUNNING


class Scheduler:
    """Runs tasks on up to ``max_workers`` threads, first come first served.

    Args:
        run: steps a task until it waits or ends; called on a worker, without the lock, in
            the context that it is given.
        on_fault: ends a task of which ``run`` has raised, which is a fault of its own; called
            on the worker.
        max_workers: the most threads that run tasks at once.
    """

    slice_length = 500
    """How many effects a saga may have carried out in a row before others get their turn."""

    def __init__(
        self,
        run: Callable[[SagaTask, Context], None],
        on_fault: Callable[[SagaTask, BaseException], None],
        max_workers: int,
    ) -> None:
        self.lock = threading.Lock()
        self._take_lock = first_try(self.lock)
        self.max_workers = max_workers
        self._run, self._on_fault = run, on_fault
        self._ready: deque[SagaTask] = deque()
        self._workers: list[_Worker] = []
        self._sleeping: list[_Worker] = []
        self._names = itertools.count(1)
        self._waking = False
        self._active = 0
        """Queued tasks, and slices that were begun and are not counted as finished."""
        self._idle = threading.Condition(self.lock)
        self._stopping = False
        share(self, self._run, self._ready, self._sleeping, self._workers)
        share(self.lock, self._take_lock)

    @property
    def active(self) -> int:
        """How many tasks run or are queued."""
        with self.lock:
            return self._active - sum(worker.finished for worker in self._workers)

    # Under the lock

    def push(self, task: SagaTask, *, first: bool = False) -> Wake | None:
        """Queue ``task``; what is returned must be called once the lock is released."""
        self._active += 1
        task.state = _QUEUED
        if first:
            self._ready.appendleft(task)
        else:
            self._ready.append(task)
        return self._worker_to_wake()

    def set_aside(self, tasks: Iterable[SagaTask]) -> Wake | None:
        """Give up the workers that run ``tasks``: each is replaced, and ends after its slice.

        They count neither as workers nor as active any more.
        """
        given_up = set(tasks)
        for worker in list(self._workers):
            begun = worker.begun  # read first: a worker sets ``task`` before it counts
            if worker.task in given_up:
                worker.is_set_aside = worker.has_news = True
                self._workers.remove(worker)
                self._count_finished(begun - worker.counted)
                worker.counted = begun
        return self._worker_to_wake() if self._ready else None

    # Without the lock

    def wait_idle(self, timeout: float | None) -> bool:
        """Block until nothing is active; ``False`` if that takes over ``timeout`` seconds."""
        if self.own_task() is not None:
            raise StateError(
                "wait_idle was called from inside a saga or call, which cannot become idle "
                "while it waits; call it from the thread that owns the store"
            )
        with self.lock:
            return self._idle.wait_for(lambda: self._active == 0, timeout)

    def own_task(self) -> SagaTask | None:
        """The task that the calling thread is running, if it is a worker of this scheduler."""
        me = threading.get_ident()
        with self.lock:
            return next((w.task for w in self._workers if w.ident == me), None)

    def event(self) -> threading.Event:
        """A new event for a thread to wait on until sagas have come to some point."""
        return threading.Event()

    def condition(self) -> threading.Condition:
        """A new condition on ``lock``, for the same."""
        return threading.Condition(self.lock)

    def stop(self) -> None:
        """End every worker once the queue is empty, and wait for all but the calling one."""
        with self.lock:
            self._stopping = True
            sleeping, self._sleeping = self._sleeping, []
            workers = list(self._workers)
        for worker in sleeping:
            worker.wake()
        for worker in workers:
            worker.join()

    # The worker's side

    def work(self, worker: _Worker) -> None:
        """What a worker thread does from its start to its end."""
        while True:
            clean = Context()
            if not clean.run(self._work_in, clean, worker):
                return

    def _work_in(self, clean: Context, worker: _Worker) -> bool:
        """Run tasks in a context until a saga has set a variable in it; whether to go on.

        A saga that has set some has a context of its own, from its next step on.
        """
        ready, run = self._ready, self._run
        task: SagaTask | None = None
        while not len(clean):
            if ready and not worker.has_news:
                try:
                    task = worker.task = ready.popleft()
                except IndexError:  # another worker was faster
                    continue
                worker.begun += 1
                task.state = _RUNNING
            elif (task := self._next_task(worker)) is None:
                return False
            variables = task.variables
            try:
                if variables is None:
                    run(task, clean)
                else:
                    variables.run(run, task, variables)
            except BaseException as fault:  # the runner's own: the worker must live on
                self._give_up(task, fault)
            task = variables = None  # while it sleeps, a worker keeps nothing of what it ran last
        return True

    def _give_up(self, task: SagaTask, fault: BaseException) -> None:
        try:
            self._on_fault(task, fault)
        except BaseException:  # a fault of its own
            _log.critical("running %s failed", task, exc_info=True)

    def _next_task(self, worker: _Worker) -> SagaTask | None:
        """Have what is finished counted and take the next task, sleeping until there is one."""
        lock = self.lock
        while True:
            wake: Wake | None = None
            task: SagaTask | None = None
            if worker.has_news and not worker.is_set_aside:
                self._stand_back()
            if not self._take_lock():
                wait_for(lock)
            try:
                self._count_finished(worker.begun - worker.counted)
                worker.counted = worker.begun
                worker.task = None
                if worker.is_set_aside:
                    return None
                if worker.has_news:
                    worker.has_news = self._waking = False
                try:
                    task = worker.task = self._ready.popleft()
                except IndexError:
                    if self._stopping:
                        self._workers.remove(worker)
                        return None
                    self._sleeping.append(worker)
                else:
                    worker.begun += 1
                    task.state = _RUNNING
                    wake = self._worker_to_wake() if self._ready else None
            finally:
                lock.release()
            if wake is not None:
                wake()
            if task is not None:
                return task
            worker.sleep()

    def _stand_back(self) -> None:
        """On a worker that was just woken: leave the work to others for as long as they are brisk.

        Sagas that take some microseconds a turn are run fastest by one worker: a second one
        takes the lock and the GIL from the first in the midst of its work, and without a GIL
        the two pass each other's cache lines to and fro. What a second one is for is a saga
        that calls something slow, or computes: then few slices begin, and it joins. Read
        without the lock, for a wrong answer costs only that moment.
        """
        slow = 0
        while (awake := len(self._workers) - len(self._sleeping) - 1) > 0 and slow < _SLOW:
            slices, pulses = self._progress()
            sleep(_STAND_BACK)
            more_slices, more_pulses = self._progress()
            is_brisk = more_slices - slices >= _BRISK * awake or more_pulses - pulses >= awake
            slow = 0 if is_brisk else slow + 1

    def _progress(self) -> tuple[int, int]:
        """The slices that were begun, and what their sagas say of themselves."""
        slices = pulses = 0
        for worker in self._workers:
            slices += worker.begun
            if (task := worker.task) is not None:
                pulses += task.pulse
        return slices, pulses

    def _count_finished(self, slices: int) -> None:
        self._active -= slices
        if slices and self._active == 0:
            self._idle.notify_all()

    def _worker_to_wake(self) -> Wake | None:
        if self._waking:
            return None
        if self._sleeping:
            self._waking = True
            worker = self._sleeping.pop()
            worker.has_news = True
            return worker.wake
        if len(self._workers) < self.max_workers:
            self._waking = True
            worker = _Worker(self, next(self._names))
            self._workers.append(worker)
            return worker.start
        return None

    def lost(self, worker: _Worker) -> None:
        """A worker's thread could not be started: what is queued waits for another one."""
        with self.lock:
            self._waking = False
            self._workers.remove(worker)
            stranded = not self._workers and bool(self._ready)
        _log.error(
            "cannot start a worker thread%s",
            "; queued sagas wait until one can be started" if stranded else "",
            exc_info=True,
        )


class _Worker:
    """One thread of the pool and the gate it sleeps at.

    Only the worker itself changes ``task`` and ``begun``; the others change under the lock.
    """

    __slots__ = (
        "_gate",
        "_scheduler",
        "_thread",
        "begun",
        "counted",
        "has_news",
        "ident",
        "is_set_aside",
        "task",
    )

    def __init__(self, scheduler: Scheduler, number: int) -> None:
        self._scheduler = scheduler
        self._gate = threading.Lock()
        self._gate.acquire()
        self._thread = BackgroundThread(
            name=f"milo-worker-{number}", target=self._work, daemon=True
        )
        self.ident = 0
        self.task: SagaTask | None = None
        self.begun = 0
        """How many slices it has begun; all but the last have ended."""
        self.counted = 0
        """How many of them are counted as finished."""
        self.has_news = True
        """Whether it was woken, or set aside: it has to look under the lock."""
        self.is_set_aside = False

    @property
    def finished(self) -> int:
        """How many slices have ended and are not counted, under the lock."""
        return max(0, self.begun - self.counted - 1)

    def start(self) -> None:
        try:
            self._thread.start()
        except RuntimeError as error:
            # Ctrl-C while ``Thread.start`` waits for the thread can come out like this.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            # The system is out of threads, or the interpreter is ending.
            self._scheduler.lost(self)

    def sleep(self) -> None:
        self._gate.acquire()

    def wake(self) -> None:
        self._gate.release()

    def join(self) -> None:
        if self.ident != threading.get_ident() and self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        self.ident = threading.get_ident()
        self._scheduler.work(self)
