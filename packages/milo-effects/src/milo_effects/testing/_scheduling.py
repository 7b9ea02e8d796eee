"""The simulator's ready queue: any ready saga may be next, and a worker is a frame."""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Iterable
from contextvars import Context
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar

from milo_effects._scheduler import Scheduler, Wake
from milo_effects.task import SagaTask, TaskState
from milo_effects.testing._world import World

_T = TypeVar("_T")
_Place: TypeAlias = tuple[int, int, int, SagaTask]
_ORDER: Final = itemgetter(0, 1, 2)


class SimulatedScheduler(Scheduler):
    """Runs tasks in the order that the world chooses, each turn as long as it chooses.

    There are ``max_workers`` of them here, too: so many sagas can be in the midst of a turn.
    Queued tasks stand in an order that does not depend on which of several that were roused
    by one cancellation came first, for sets of contexts have none.
    """

    def __init__(
        self,
        world: World,
        run: Callable[[SagaTask, Context], None],
        on_fault: Callable[[SagaTask, BaseException], None],
        max_workers: int,
    ) -> None:
        super().__init__(run, on_fault, max_workers)
        self.world = world
        self._idle = self.condition()
        self._queue: list[_Place] = []
        self._turns: list[_Turn] = []
        self.tasks: dict[SagaTask, int] = {}
        """Every task that was ever queued, with its number."""
        world.sources.append(self)

    # As every scheduler

    def push(self, task: SagaTask, *, first: bool = False) -> Wake | None:
        self.world.check_thread()
        number = self.tasks.get(task)
        if number is None:
            number = self._number(task)
        self._active += 1
        task.state = TaskState.QUEUED
        step = self.world.steps
        place = (0, -step, -number, task) if first else (1, step, number, task)
        insort(self._queue, place, key=_ORDER)
        return None

    def set_aside(self, tasks: Iterable[SagaTask]) -> Wake | None:
        given_up = set(tasks)
        for turn in self._turns:
            if turn.task in given_up and not turn.is_set_aside:
                turn.is_set_aside = True
                self._count_finished(1)
        return None

    def own_task(self) -> SagaTask | None:
        running = self.world.frames[-1] if self.world.frames else None
        on_workers = [turn.task for turn in self._turns if not turn.is_set_aside]
        return running if running in on_workers else None

    def event(self) -> threading.Event:
        return _SimulatedEvent(self.world)

    def condition(self) -> threading.Condition:
        return _SimulatedCondition(self.world, self.lock)

    def stop(self) -> None:
        """Let all that is queued have its turn; frames end by themselves."""
        self.world.run_until(lambda: not self._queue, None)

    # As a source

    def count(self) -> int:
        busy = sum(not turn.is_set_aside for turn in self._turns) if self._turns else 0
        return len(self._queue) if busy < self.max_workers else 0

    def happen(self, index: int) -> None:
        task = self._queue.pop(index)[3]
        turn = _Turn(task)
        self._turns.append(turn)
        self.world.frames.append(task)
        self.slice_length = self.world.choices.turn()
        with self.lock:
            task.state = TaskState.RUNNING
        variables = task.variables or Context()
        try:
            variables.run(self._run, task, variables)
        except BaseException as fault:  # the runner's own
            self._give_up(task, fault)
        self.world.frames.pop()
        self._turns.remove(turn)
        if not turn.is_set_aside:
            with self.lock:
                self._count_finished(1)
        if task.done() and isinstance(task.error, KeyboardInterrupt):
            self.world.fail(task.error)  # on one thread Ctrl-C comes to whoever runs

    def _number(self, task: SagaTask) -> int:
        """Count the task in this world alone, or its name would differ from run to run."""
        number = self.tasks[task] = len(self.tasks) + 1
        if isinstance(task._id, int):
            task._id = number
        return number


class _Turn:
    """A task on a worker."""

    __slots__ = ("is_set_aside", "task")

    def __init__(self, task: SagaTask) -> None:
        self.task = task
        self.is_set_aside = False


class _SimulatedEvent(threading.Event):
    """Whoever waits here lets other things happen meanwhile."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def wait(self, timeout: float | None = None) -> bool:
        self._world.check_thread()
        return self._world.run_until(self.is_set, timeout)


class _SimulatedCondition(threading.Condition):
    """Whoever waits here lets other things happen meanwhile."""

    def __init__(self, world: World, lock: Any) -> None:
        super().__init__(lock)
        self._world = world

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        self._world.check_thread()
        self.release()
        try:
            self._world.run_until(lambda: bool(predicate()), timeout)
        finally:
            self.acquire()
        return predicate()
