"""Steps sagas: sends answers in, carries out what they yield, parks them while they wait.

The runner knows no effect by name. It owns the life of a task from its start to its end
(drawn in ``task``); every change of a task's state is made here or in the scheduler, under
the scheduler's lock. Generators, handlers and callbacks are called without any lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from contextvars import Context, copy_context
from inspect import GEN_CREATED, getgeneratorstate
from itertools import repeat
from types import GeneratorType
from typing import Any, TypeAlias

from milo_core import Action, StateError
from milo_core._locking import first_try, give_way, wait_for
from milo_core._sharing import share_parts
from milo_core.actions import SAGA_CANCELLED, SAGA_ERROR
from milo_core.runtime import StorePort
from milo_effects._monitoring import Monitors
from milo_effects._scheduler import Scheduler, Wake
from milo_effects.context import SagaContext, descendants
from milo_effects.errors import HandlerError, ResumedTwiceError, SagaCancelled
from milo_effects.registry import EffectRegistry, Handler
from milo_effects.results import (
    CONT,
    NEXT,
    SEND,
    THROW,
    WAIT,
    WINDING_DOWN,
    EffectResult,
    Start,
    Stop,
    Wait,
)
from milo_effects.task import FOLLOW, Cancelling, OnDone, SagaTask, TaskState

_log = logging.getLogger(__name__)

SchedulerFactory: TypeAlias = Callable[
    [Callable[[SagaTask, Context], None], Callable[[SagaTask, BaseException], None], int],
    Scheduler,
]

# Read in the hot loop, where a global costs less than an attribute of a class.
_NO = Cancelling.NO
_DELIVERED = Cancelling.DELIVERED
_REQUESTED = Cancelling.REQUESTED
_WINDING_DOWN = Cancelling.WINDING_DOWN
_CLOSING = Cancelling.CLOSING
_QUEUED = TaskState.QUEUED
_RUNNING = TaskState.RUNNING
_PARKED = TaskState.PARKED
_DONE = TaskState.DONE


class Runner:
    """Runs tasks for one store.

    Args:
        store: what handlers are given.
        registry: effect type to handler.
        max_workers: see ``Scheduler``.
        scheduler: what queues ready tasks and runs them.
    """

    def __init__(
        self,
        store: StorePort,
        registry: EffectRegistry,
        max_workers: int,
        scheduler: SchedulerFactory = Scheduler,
    ) -> None:
        self.store = store
        self.scheduler = scheduler(self._step, self._on_fault, max_workers)
        self._registry = registry
        self._lock = self.scheduler.lock
        self._take_lock = first_try(self._lock)
        self._alive: dict[SagaTask, None] = {}
        """In the order in which they were started, and so they are cancelled at the end."""
        self._stuck: set[SagaTask] = set()
        """Tasks in a call that ran out of time, on workers that were set aside."""
        self._few_left = self.scheduler.condition()
        self._closing = False
        self._cleanup_is_over = False
        self._spared = 0
        """How many tasks ``wait_ended`` does not wait for, besides stuck ones."""
        self.monitors = Monitors(self.alive)
        share_parts(self, "_alive", "_stuck", "_take_lock", "_registry")

    # Starting

    def spawn(self, task: SagaTask, *, first: bool = False) -> Wake | None:
        """Queue a new task; what is returned must be called once no lock is held."""
        parent = task.parent
        if self.monitors.installed:
            self.monitors.expect(task, self.scheduler.own_task)
        too_late = False
        if parent is not None:
            task.enter()
            too_late = parent.is_cancelled  # or else a cancellation reaches it from here on
        self._alive[task] = None  # before the lock, so that whoever has it knows of the task
        with self._lock:
            if self._cleanup_is_over:
                task.cancelling = _CLOSING
            elif too_late and task.cancelling == _NO:
                task.cancelling = _REQUESTED
            wake = self.scheduler.push(task, first=first)
        if too_late and parent is not None:
            parent.heed_events()
            task.cancel_tree()
        return wake

    def start(self, task: SagaTask, *, first: bool = False) -> SagaTask:
        """Queue a new task and see that a worker will take it."""
        wake = self.spawn(task, first=first)
        if wake is not None:
            wake()
        return task

    # From outside a task

    def resume(self, wait: Wait, ok: bool, value: Any) -> Wake | None:
        """End ``wait`` with a value or an error, and queue its task; too late, do nothing.

        What is returned must be called once no lock is held. If the wait is only beginning,
        its worker goes on with the answer itself.
        """
        task = wait.task
        with self._lock:
            if task.waiting is wait:
                task.waiting = None
                task.given = wait
                task.ok = ok
                task.value = value
                return self.scheduler.push(task) if task.state == _PARKED else None
        _log.debug("late answer to %s dropped", task, extra={"milo_saga_id": task.saga_id})
        return None

    def resume_strictly(self, wait: Started, ok: bool, value: Any) -> Wake | None:
        """As ``resume``, for waits of which a second answer is a mistake."""
        task = wait.task
        with self._lock:
            if wait.is_over and not wait.is_stopped:
                error = ResumedTwiceError(wait.effect, value)
                if task.given is not wait or (task.state != _QUEUED and wait.has_begun):
                    raise error  # the saga has gone on, or its worker is about to
                task.ok, task.value = False, error
                return None
            wait.is_over = True
        return self.resume(wait, ok, value)

    def request_cancel(self, task: SagaTask) -> None:
        """Have ``SagaCancelled`` thrown into the task's saga as soon as it can be."""
        self._rouse(task, _REQUESTED)

    def close_all(self) -> None:
        """Have every generator closed as soon as a worker has a hand free, also later ones."""
        with self._lock:
            self._cleanup_is_over = True
        for task in self.alive():
            self._rouse(task, _CLOSING)

    def _rouse(self, task: SagaTask, stage: int) -> None:
        """Tell a task, and queue it if it waits; while it runs, its worker looks."""
        wake: Wake | None = None
        give_way(self._lock)
        with self._lock:
            if task.state != _DONE and (task.cancelling == _NO or stage == _CLOSING):
                task.cancelling = stage
                if task.state == _PARKED:
                    wake = self.scheduler.push(task)
        if wake is not None:
            wake()

    def set_aside(self, context: SagaContext) -> None:
        """Give up the workers on which tasks in ``context`` are busy (see ``Timeout``)."""
        tasks = [each for each in descendants(context) if isinstance(each, SagaTask)]
        with self._lock:
            busy = [task for task in tasks if task.state == _RUNNING]
            self._stuck.update(busy)
            wake = self.scheduler.set_aside(busy)
            self._few_left.notify_all()
        if wake is not None:
            wake()

    def on_done(self, task: SagaTask, callback: OnDone) -> None:
        """Call ``callback(task)`` once the task has ended, perhaps at once."""
        with self._lock:
            kept = task.keep_callback(callback)
        if not kept:
            callback(task)

    def not_on_done(self, task: SagaTask, callback: OnDone) -> None:
        """Forget ``callback``; it may be on its way."""
        with self._lock:
            if task.on_done is not None:
                task.on_done.pop(callback, None)

    # Ending everything

    def alive(self) -> list[SagaTask]:
        """The tasks that have not ended."""
        with self._lock:
            return list(self._alive)

    def wait_ended(self, timeout: float | None) -> bool:
        """Block until every task has ended, but for stuck ones and those that wait for the caller.

        ``False`` if that takes over ``timeout`` seconds.
        """
        own = self.scheduler.own_task()
        with self._lock:
            spared = self._line_of(own)
            self._closing, self._spared = True, len(spared)
            return self._few_left.wait_for(
                lambda: not (set(self._alive) - self._stuck - spared), timeout
            )

    def _line_of(self, task: SagaTask | None) -> set[SagaTask]:
        """``task``, the task that waits for its end, and so on upwards; under the lock."""
        line: set[SagaTask] = set()
        while task is not None:
            line.add(task)
            scope = task.parent if task.quiet else None
            task = next((each for each in list(self._alive) if each.scope is scope), None)
        return line

    # On a worker

    def _on_fault(self, task: SagaTask, fault: BaseException) -> None:
        """End a task in whose turn our own code raised, or foreign code where it should not be."""
        try:
            _log.critical("running saga %s failed", task.saga_id, exc_info=fault)
        finally:
            if task.state == _RUNNING:
                self._finish(task, False, fault)

    def _step(self, task: SagaTask, variables: Context) -> None:
        """Give the task its turn: step it until it waits, ends, or has had enough."""
        if task.cancelling > _DELIVERED and not self._settle_cancelling(task):
            return
        if type(task.generator) is not GeneratorType and not self._make_generator(task):
            return
        saga = task.generator
        if self.monitors.installed:
            saga = self.monitors.watch(task, saga)
        send = saga.send
        table, find, store = self._registry.table, self._registry.find, self.store
        if task.given is not None:
            task.given = None
        step = send if task.ok else saga.throw
        value = task.value
        handler: Handler | None = None
        given: Wait | None = None
        follow, delivered = FOLLOW, _DELIVERED
        for _ in repeat(None, self.scheduler.slice_length):
            try:
                effect = step(value)
            except StopIteration as end:
                self._finish(task, True, end.value)
                return
            except BaseException as error:  # the saga has failed; dispatched or handed on
                self._finish(task, False, _without_our_frame(error))
                return
            before = handler
            try:
                try:
                    handler = table[type(effect)]
                except KeyError:
                    handler = find(effect)
                value = handler(effect, task, store)
            except BaseException as error:  # foreign code has failed; the saga may catch it
                step, value, handler = saga.throw, error, _no_handler
            else:
                step = send
                if value is follow:
                    if not self._follow(task, effect, before, variables):
                        return
                    step, value = send if task.ok else saga.throw, task.value
                    given, task.given = task.given, None  # received, whoever cancels from here on
                    continue
            given = None
            if task.cancelling > delivered:
                if not self._settle_cancelling(task):
                    return
                step, value = saga.throw, task.value
        if handler not in self._registry.keepers:
            task.close_mark()
        task.given = given  # not received yet: the task may be cancelled in the queue
        self._requeue(task, step is send, value, variables)

    def _make_generator(self, task: SagaTask) -> bool:
        """Turn a function that returns a saga into the saga; whether there is one to step."""
        source = task.generator
        if isinstance(source, Generator):
            return True
        try:
            made = source()
        except BaseException as error:  # foreign code; the saga has failed before it began
            self._finish(task, False, error)
            return False
        if not isinstance(made, Generator):
            self._finish(task, False, not_a_saga(source, made))
            return False
        task.generator = made
        return True

    def _follow(
        self, task: SagaTask, effect: object, before: Handler | None, variables: Context
    ) -> bool:
        """Do as a handler has said; whether there is an answer to go on with.

        ``before`` handled the effect before this one, if that was in the same turn.
        """
        mark = task.mark
        if mark is not None and (before is None or before in self._registry.keepers):
            task.since = mark.node
        wait: object = task.reply
        task.reply = None
        if isinstance(wait, EffectResult):
            wait = self._answer(task, effect, wait)
        if isinstance(wait, Wait) and self._park(task, wait, variables):
            return False
        if task.mark is not None:
            task.close_mark()
        return task.cancelling <= _DELIVERED or self._settle_cancelling(task)

    def _answer(self, task: SagaTask, effect: object, result: EffectResult) -> Wait | None:
        """Leave the answer with the task, unless it is one to wait for."""
        if result.action == WAIT and result.start is not None:
            return Started(effect, result.start)
        if result.action == SEND:
            task.ok, task.value = True, result.value
        elif result.action == NEXT or result.action == CONT:
            task.ok, task.value = True, None
        elif result.action == THROW and isinstance(result.error, BaseException):
            task.ok, task.value = False, result.error
        else:
            task.ok, task.value = False, HandlerError(effect, result)
        return None

    def _park(self, task: SagaTask, wait: Wait, variables: Context) -> bool:
        """Begin to wait; ``False`` if there is an answer or a cancellation to go on with."""
        lock = self._lock
        wait.task = task
        task.waiting = wait
        try:
            wait.begin()
        except BaseException as error:  # foreign code; goes to the saga unless it was resumed
            return self._begin_failed(task, wait, error)
        if len(variables):
            task.variables = copy_context()
        if task.mark is not None:
            task.close_mark()  # the journal would grow for as long as this waits
        if not self._take_lock():
            wait_for(lock)
        try:
            if task.waiting is not wait or task.cancelling > _DELIVERED:
                return False
            task.state = _PARKED
            if self._stuck:
                self._stuck.discard(task)
            return True
        finally:
            lock.release()

    def _begin_failed(self, task: SagaTask, wait: Wait, error: BaseException) -> bool:
        with self._lock:
            resumed = task.waiting is not wait
            if not resumed:
                task.waiting = None
                task.ok, task.value = False, error
        if resumed:
            _log.error("a wait that was over raised", exc_info=error)
        return False

    def _requeue(self, task: SagaTask, ok: bool, value: Any, variables: Context) -> None:
        """Let others have their turn."""
        if len(variables):
            task.variables = copy_context()
        task.ok, task.value = ok, value
        with self._lock:
            wake = self.scheduler.push(task)
        if wake is not None:
            wake()

    # Cancelling, on a worker

    def _settle_cancelling(self, task: SagaTask) -> bool:
        """Carry a cancellation on; whether there is a step to make, with ``task.value``."""
        lock = self._lock
        if task.cancelling == _CLOSING:
            self._close_generator(task)
            return False
        if not _has_begun(task.generator):
            task.generator = None
            self._finish(task, False, SagaCancelled(f"{task.saga_id} was cancelled"))
            return False
        winding_down = self._tell_wait(task)
        if not self._take_lock():
            wait_for(lock)
        try:
            if task.cancelling != _CLOSING:
                if winding_down and task.waiting is not None:
                    task.cancelling = _WINDING_DOWN
                    task.state = _PARKED
                    return False
                task.waiting = task.given = None
                task.cancelling = _DELIVERED
                task.ok, task.value = False, SagaCancelled(f"{task.saga_id} was cancelled")
                return True
        finally:
            lock.release()
        self._close_generator(task)
        return False

    def _tell_wait(self, task: SagaTask) -> bool:
        """Stop the wait under way; whether it will end later.

        A wait that has just been resumed is told, too, that its answer will not be received.
        """
        wait = task.waiting or task.given
        if wait is None or task.cancelling == _WINDING_DOWN:  # then it has ended by now
            return False
        return bool(_call_stop(task, wait) == WINDING_DOWN)

    def _close_generator(self, task: SagaTask) -> None:
        wait = task.waiting or task.given
        if wait is not None:
            _call_stop(task, wait)
            with self._lock:
                task.waiting = task.given = None
        error: BaseException = SagaCancelled(f"{task.saga_id} was closed before it had cleaned up")
        try:
            if isinstance(task.generator, Generator):
                task.generator.close()
        except BaseException as problem:  # foreign cleanup; dispatched as the saga's error
            error = problem
        self._finish(task, False, error)

    # Ends

    def _finish(self, task: SagaTask, ok: bool, value: Any) -> None:
        """The one way a task ends."""
        lock = self._lock
        if ok and task.cancelling == _DELIVERED:
            ok, value = False, SagaCancelled(f"{task.saga_id} was cancelled")
        task.ok, task.value = ok, value
        if not ok and not task.quiet:
            self._announce(task, value)
        # Before the lock is taken: what goes away with these may run finalizers.
        task.generator = None
        if task.variables is not None:
            task.variables = None
        if task.given is not None:
            task.given = None
        if task.mark is not None:
            task.close_mark()
        self._alive.pop(task, None)  # safe without the lock, which others are waiting for
        if not self._take_lock():
            wait_for(lock)
        try:
            task.state = _DONE
            callbacks = task.on_done
            if callbacks is not None:
                task.on_done = None
            if self._stuck or self._closing:
                self._stuck.discard(task)
                if len(self._alive) <= len(self._stuck) + self._spared:
                    self._few_left.notify_all()
        finally:
            lock.release()
        if task.parent is not None or task.is_watching:
            task.forget()
        if self.monitors.installed:
            self.monitors.ended(task)
        if callbacks is not None:
            _call_each(callbacks, task)

    def announce(self, task: SagaTask) -> None:
        """Dispatch the error or cancellation with which a task has ended."""
        self._announce(task, task.value)

    def _announce(self, task: SagaTask, error: BaseException) -> None:
        if isinstance(error, SagaCancelled):
            action = Action(SAGA_CANCELLED, {"saga_id": task.saga_id})
        else:
            facts = {"error": _text(error), "type": type(error).__name__, "saga_id": task.saga_id}
            action = Action(SAGA_ERROR, facts)
        try:
            self.store.dispatch(action)
        except BaseException:  # refused, or a listener exits; the log is the last place for it
            _log.exception("cannot dispatch the end of %s: %s", task, action)


class Started(Wait):
    """The wait behind ``EffectResult.wait``: a start function, and the stop that it returned."""

    __slots__ = ("_start", "_stop", "effect", "has_begun", "is_over", "is_stopped")

    def __init__(self, effect: object, start: Start) -> None:
        self.effect = effect
        self._start = start
        self._stop: Stop | None = None
        self.has_begun = False
        self.is_over = False
        self.is_stopped = False

    def begin(self) -> None:
        stop = self._start(self)
        if not callable(stop):
            raise HandlerError(self.effect, stop, by_start=True)
        self._stop = stop
        self.has_begun = True

    def stop(self) -> Any:
        self.is_stopped = True
        return None if self._stop is None else self._stop()

    def send_later(self, value: Any) -> Wake | None:
        return self.task.runtime.runner.resume_strictly(self, True, value)

    def send(self, value: Any) -> None:
        _call(self.task.runtime.runner.resume_strictly(self, True, value))

    def throw(self, error: BaseException) -> None:
        _call(self.task.runtime.runner.resume_strictly(self, False, error))


def _no_handler(effect: object, context: object, store: object) -> None:
    """Stands for the handler of an effect that has failed: it leaves no mark open."""


def not_a_saga(source: object, made: object) -> StateError:
    """The error for something that was given as a saga and is none."""
    name = getattr(source, "__name__", repr(source))
    return StateError(
        f"a saga is a generator, or a function that returns one; {name} is {source!r:.200} and "
        f"gave {made!r:.200}. Does it yield its effects?"
    )


def _call(wake: Wake | None) -> None:
    if wake is not None:
        wake()


def _call_each(callbacks: Iterable[OnDone], task: SagaTask) -> None:
    for callback in callbacks:
        try:
            callback(task)
        except BaseException:  # foreign code; the saga has ended all the same
            _log.exception("a callback of %s raised", task)


def _without_our_frame(error: BaseException) -> BaseException:
    """``error``, whose traceback begins in the saga; one of a cancellation tells nothing at all.

    It may be kept for long, and with it every frame that its traceback names.
    """
    seen = error.__traceback__
    return error.with_traceback(
        None if seen is None or isinstance(error, SagaCancelled) else seen.tb_next
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # foreign code; a report without a message is still a report
        return f"(its message cannot be shown: {type(problem).__name__})"


def _call_stop(task: SagaTask, wait: Wait) -> Any:
    try:
        return wait.stop()
    except BaseException:  # a plugin's code; the saga must still be cancelled
        _log.exception("stopping what %s waited for raised", task)
        return None


def _has_begun(generator: object) -> bool:
    if isinstance(generator, GeneratorType):
        return getgeneratorstate(generator) != GEN_CREATED
    return isinstance(generator, Generator)
