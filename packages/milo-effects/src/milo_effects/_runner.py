"""Steps sagas: sends answers in, carries out what they yield, parks them while they wait.

The runner knows no effect by name. It owns the life of a task from its start to its end
(drawn in ``task``); every change of a task's state is made here or in the scheduler, under
the scheduler's lock. Generators, handlers and callbacks are called without any lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextvars import copy_context
from inspect import GEN_CREATED, getgeneratorstate
from types import GeneratorType
from typing import Any, TypeAlias

from milo_core import Action, StateError
from milo_core.actions import SAGA_CANCELLED, SAGA_ERROR
from milo_core.runtime import StorePort
from milo_effects._scheduler import Scheduler, Wake
from milo_effects._timers import Clock
from milo_effects.context import SagaContext, descendants
from milo_effects.errors import HandlerError, SagaCancelled
from milo_effects.registry import EffectRegistry
from milo_effects.results import CONT, NEXT, SEND, THROW, WAIT, WINDING_DOWN, EffectResult, Start
from milo_effects.task import Cancelling, OnDone, SagaTask, TaskState

_log = logging.getLogger(__name__)

Answer: TypeAlias = tuple[bool, Any]
"""What a step begins with: whether to send or to throw, and what."""

SLICE = 500
"""How many effects a saga may have carried out in a row before others get their turn."""

_NO = Cancelling.NO
_DELIVERED = Cancelling.DELIVERED
_PARKED = TaskState.PARKED


class Runner:
    """Runs tasks for one store.

    Args:
        store: what handlers are given.
        registry: effect type to handler.
        clock: the time that sagas live by.
        max_workers: see ``Scheduler``.
    """

    def __init__(
        self, store: StorePort, registry: EffectRegistry, clock: Clock, max_workers: int
    ) -> None:
        self.store = store
        self.clock = clock
        self.scheduler = Scheduler(self._run_slice, max_workers)
        self._registry = registry
        self._lock = self.scheduler.lock
        self._alive: set[SagaTask] = set()
        self._stuck: set[SagaTask] = set()
        """Tasks in a call that ran out of time, on workers that were set aside."""
        self._few_left = threading.Condition(self._lock)
        self._closing = False
        self._cleanup_is_over = False
        self._spared = 0
        """How many tasks ``wait_ended`` does not wait for, besides stuck ones."""

    # Starting

    def spawn(self, task: SagaTask, *, first: bool = False) -> Wake | None:
        """Queue a new task; what is returned must be called once no lock is held."""
        parent = task.parent
        if parent is not None:
            task.enter()
        with self._lock:
            self._alive.add(task)
            if self._cleanup_is_over:
                task.cancelling = Cancelling.CLOSING
            wake = self.scheduler.push(task, first=first)
        if parent is not None and parent.is_cancelled:
            task.cancel_tree()
        return wake

    def start(self, task: SagaTask, *, first: bool = False) -> SagaTask:
        """Queue a new task and see that a worker will take it."""
        wake = self.spawn(task, first=first)
        if wake is not None:
            wake()
        return task

    # From outside a task

    def resume(self, task: SagaTask, token: object, answer: Answer) -> Wake | None:
        """End the wait that ``token`` stands for, and queue the task; too late, do nothing.

        What is returned must be called once no lock is held.
        """
        with self._lock:
            if task.waiting is not token:
                _log.debug("late answer to %s dropped", task, extra={"milo_saga_id": task.saga_id})
                return None
            task.waiting = None
            task.answer = answer
            return self.scheduler.push(task) if task.state is _PARKED else None

    def request_cancel(self, task: SagaTask) -> None:
        """Have ``SagaCancelled`` thrown into the task's saga as soon as it can be."""
        with self._lock:
            wake = None
            if task.state is not TaskState.DONE and task.cancelling is _NO:
                wake = self._rouse(task, Cancelling.REQUESTED)
        if wake is not None:
            wake()

    def close_all(self) -> None:
        """Have every generator closed as soon as a worker has a hand free, also later ones."""
        with self._lock:
            self._cleanup_is_over = True
        for task in self.alive():
            self._close(task)

    def _close(self, task: SagaTask) -> None:
        with self._lock:
            wake = None
            if task.state is not TaskState.DONE:
                wake = self._rouse(task, Cancelling.CLOSING)
        if wake is not None:
            wake()

    def _rouse(self, task: SagaTask, stage: Cancelling) -> Wake | None:
        """Tell a task, and queue it if it waits; while a wait begins, its worker looks."""
        task.cancelling = stage
        if task.state is _PARKED and task.stop_waiting is not None:
            return self.scheduler.push(task)
        return None

    def set_aside(self, context: SagaContext) -> None:
        """Give up the workers on which tasks in ``context`` are busy (see ``Timeout``)."""
        tasks = [each for each in descendants(context) if isinstance(each, SagaTask)]
        with self._lock:
            busy = [task for task in tasks if task.state is TaskState.RUNNING]
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
                lambda: not (self._alive - self._stuck - spared), timeout
            )

    def _line_of(self, task: SagaTask | None) -> set[SagaTask]:
        """``task``, the task that waits for its end, and so on upwards; under the lock."""
        line: set[SagaTask] = set()
        while task is not None:
            line.add(task)
            scope = task.parent if task.quiet else None
            task = next((each for each in self._alive if each.scope is scope), None)
        return line

    # On a worker

    def _run_slice(self, task: SagaTask) -> None:
        """Give the task its turn. Whatever goes wrong here, the task ends and can be waited for."""
        try:
            self._step(task)
        except BaseException as fault:  # ours, or of foreign code where we call none on purpose
            _log.critical("running saga %s failed", task.saga_id, exc_info=True)
            if task.state is TaskState.RUNNING:
                self._finish(task, None, fault)

    def _step(self, task: SagaTask) -> None:
        """Step the task until it waits, ends, or has had its turn."""
        if task.cancelling is not _NO and not self._settle_cancelling(task):
            return None
        if task.generator.__class__ is not GeneratorType and not self._make_generator(task):
            return None
        send, throw = task.generator.send, task.generator.throw
        table, find, store = self._registry.table, self._registry.find, self.store
        ok, value = task.answer
        for _ in range(SLICE):
            try:
                effect = send(value) if ok else throw(value)
            except StopIteration as end:
                return self._finish(task, end.value, None)
            except BaseException as error:  # the saga has failed; dispatched or handed on
                return self._finish(task, None, error)
            task.since, task.mark = task.mark, None
            try:
                handler = table.get(effect.__class__) or find(effect)
                result = handler(effect, task, store)
            except BaseException as error:  # foreign code has failed; the saga may catch it
                ok, value = False, error
            else:
                if result.__class__ is not EffectResult:
                    ok, value = False, HandlerError(effect, result)
                elif result.action == SEND:
                    ok, value = True, result.value
                elif result.action == WAIT:
                    if self._park(task, effect, result.start):
                        return None
                    ok, value = task.answer
                else:
                    ok, value = _plain_answer(effect, result)
            if task.cancelling is not _NO and task.cancelling is not _DELIVERED:
                if not self._settle_cancelling(task):
                    return None
                ok, value = task.answer
        return self._requeue(task, (ok, value))

    def _make_generator(self, task: SagaTask) -> bool:
        """Turn a function that returns a saga into the saga; whether there is one to step."""
        source = task.generator
        if isinstance(source, Generator):
            return True
        try:
            made = source()
        except BaseException as error:  # foreign code; the saga has failed before it began
            self._finish(task, None, error)
            return False
        if not isinstance(made, Generator):
            self._finish(task, None, not_a_saga(source, made))
            return False
        task.generator = made
        return True

    def _park(self, task: SagaTask, effect: object, start: Start | None) -> bool:
        """Begin waiting; ``False`` if there is an answer or a cancellation to go on with.

        The task counts as parked before ``start`` is called, so it may be resumed, and run
        by another worker, while ``start`` is still at work here.
        """
        if start is None:
            task.answer = False, HandlerError(effect, "EffectResult.wait without a start function")
            return False
        token = Token(self, task)
        _keep_variables(task)
        task.stop_waiting = None
        task.waiting = token
        task.state = _PARKED
        try:
            stop = start(token)
        except BaseException as error:  # foreign code; goes to the saga unless it was resumed
            return self._start_failed(task, token, error)
        if not callable(stop):
            return self._start_failed(task, token, HandlerError(effect, stop, by_start=True))
        with self._lock:
            if task.waiting is not token:
                return True
            task.stop_waiting = stop
            _journal, task.since = task.since, None  # it would grow for as long as this waits
            if task.cancelling is _NO or task.cancelling is _DELIVERED:
                self._stuck.discard(task)
                return True
            task.state = TaskState.RUNNING
        return False

    def _start_failed(self, task: SagaTask, token: object, error: BaseException) -> bool:
        with self._lock:
            resumed = task.waiting is not token
            if not resumed:
                task.waiting = None
                task.state = TaskState.RUNNING
                task.answer = False, error
        if resumed:
            _log.error("a wait that was over raised", exc_info=error)
        return resumed

    def _requeue(self, task: SagaTask, answer: Answer) -> None:
        """Let others have their turn."""
        _keep_variables(task)
        task.answer = answer
        with self._lock:
            wake = self.scheduler.push(task)
        if wake is not None:
            wake()

    # Cancelling, on a worker

    def _settle_cancelling(self, task: SagaTask) -> bool:
        """Carry a cancellation on; whether there is a step to make, with ``task.answer``."""
        if task.cancelling is Cancelling.CLOSING:
            self._close_generator(task)
            return False
        if task.cancelling is _DELIVERED:
            return True
        if not _has_begun(task.generator):
            task.generator = None
            self._finish(task, None, SagaCancelled(f"{task.saga_id} was cancelled"))
            return False
        if task.waiting is not None and not self._stop_waiting(task):
            return False
        if not self._deliver(task):
            self._close_generator(task)
            return False
        task.cleanup_scope = SagaContext()
        task.answer = False, SagaCancelled(f"{task.saga_id} was cancelled")
        return True

    def _deliver(self, task: SagaTask) -> bool:
        """Note that the saga is told now; ``False`` if it is to be closed instead."""
        with self._lock:
            if task.cancelling is Cancelling.CLOSING:
                return False
            task.cancelling = _DELIVERED
            return True

    def _stop_waiting(self, task: SagaTask) -> bool:
        """End the wait under way; ``False`` if it ends later, and the task is parked again."""
        winding_down = _call_stop(task) == WINDING_DOWN
        with self._lock:
            closing = task.cancelling is Cancelling.CLOSING
            if winding_down and task.waiting is not None and not closing:
                task.cancelling = Cancelling.WINDING_DOWN
                task.state = _PARKED
                return False
            task.waiting = None
            return True

    def _close_generator(self, task: SagaTask) -> None:
        if task.waiting is not None:
            _call_stop(task)
            with self._lock:
                task.waiting = None
        error: BaseException = SagaCancelled(f"{task.saga_id} was closed before it had cleaned up")
        try:
            if isinstance(task.generator, Generator):
                task.generator.close()
        except BaseException as problem:  # foreign cleanup; dispatched as the saga's error
            error = problem
        self._finish(task, None, error)

    # Ends

    def _finish(self, task: SagaTask, value: Any, error: BaseException | None) -> None:
        """The one way a task ends."""
        if error is None and task.cancelling is _DELIVERED:
            error = SagaCancelled(f"{task.saga_id} was cancelled")
        task.value, task.error = value, error
        if not task.quiet:
            self.announce(task)
        # Before the lock is taken: what goes away with these may run finalizers.
        task.generator = task.variables = task.mark = task.since = task.stop_waiting = None
        task.answer = True, None
        with self._lock:
            task.state = TaskState.DONE
            self._alive.discard(task)
            self._stuck.discard(task)
            callbacks = task.take_callbacks()
            if self._closing and len(self._alive) <= len(self._stuck) + self._spared:
                self._few_left.notify_all()
        task.forget()
        for callback in callbacks:
            try:
                callback(task)
            except BaseException:  # foreign code; the saga has ended all the same
                _log.exception("a callback of %s raised", task)

    def announce(self, task: SagaTask) -> None:
        """Dispatch how a task ended, if it was not by returning."""
        error = task.error
        if error is None:
            return
        payload: dict[str, Any] = {"saga_id": task.saga_id}
        if isinstance(error, SagaCancelled):
            action = Action(SAGA_CANCELLED, payload)
        else:
            payload = {"error": _text(error), "type": type(error).__name__, **payload}
            action = Action(SAGA_ERROR, payload)
        try:
            self.store.dispatch(action)
        except BaseException:  # refused, or a listener exits; the log is the last place for it
            _log.exception("cannot dispatch the end of %s: %s", task, action)


class Token:
    """One wait of one task: what ``start`` is given to resume it with."""

    __slots__ = ("_runner", "_task")

    def __init__(self, runner: Runner, task: SagaTask) -> None:
        self._runner = runner
        self._task = task

    def send(self, value: Any) -> None:
        _call(self._runner.resume(self._task, self, (True, value)))

    def next(self) -> None:
        _call(self._runner.resume(self._task, self, (True, None)))

    def throw(self, error: BaseException) -> None:
        _call(self._runner.resume(self._task, self, (False, error)))

    def send_later(self, value: Any) -> Wake | None:
        return self._runner.resume(self._task, self, (True, value))


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


def _plain_answer(effect: object, result: EffectResult) -> Answer:
    """What follows from a result that neither sends nor waits."""
    if result.action == NEXT or result.action == CONT:
        return True, None
    if result.action == THROW and isinstance(result.error, BaseException):
        return False, result.error
    return False, HandlerError(effect, result)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # foreign code; a report without a message is still a report
        return f"(its message cannot be shown: {type(problem).__name__})"


def _call_stop(task: SagaTask) -> Any:
    try:
        return task.stop_waiting() if task.stop_waiting is not None else None
    except BaseException:  # a plugin's code; the saga must still be cancelled
        _log.exception("stopping what %s waited for raised", task)
        return None


def _keep_variables(task: SagaTask) -> None:
    """Remember the context variables the saga has set; most set none."""
    variables = copy_context()
    task.variables = variables if len(variables) else None


def _has_begun(generator: object) -> bool:
    if isinstance(generator, GeneratorType):
        return getgeneratorstate(generator) != GEN_CREATED
    return isinstance(generator, Generator)
