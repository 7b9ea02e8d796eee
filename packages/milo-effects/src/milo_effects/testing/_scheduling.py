"""The simulator's ready queue: any ready saga may be next, and a worker is a frame."""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Iterable
from contextvars import Context
from operator import itemgetter
from typing import Any, Final, TypeAlias

from milo_effects._scheduler import Scheduler, Wake
from milo_effects.task import SagaTask, TaskState
from milo_effects.testing._world import World

_Place: TypeAlias = tuple[int, bool, int, SagaTask]
_ORDER: Final = itemgetter(0, 1, 2)


class SimulatedScheduler(Scheduler):
    """Runs tasks in the order that the world chooses, each turn as long as it chooses.

    There are ``max_workers`` of them here, too: so many sagas can be in the midst of a turn.
    Queued tasks stand in an order that does not depend on which of several that were roused
    by one cancellation came first, for sets of contexts have none.
    """

    def __init__(
        self, world: World, run: Callable[[SagaTask, Context], None], max_workers: int
    ) -> None:
        super().__init__(run, max_workers)
        self._world = world
        self._idle = self.condition()
        self._queue: list[_Place] = []
        self._turns: list[_Turn] = []
        self.tasks: dict[SagaTask, int] = {}
        """Every task that was ever queued, with its number."""
        world.sources.append(self)

    # As every scheduler

    def push(self, task: SagaTask, *, first: bool = False) -> Wake | None:
        self._world.check_thread()
        number = self.tasks.get(task)
        if number is None:
            number = self._number(task)
        self._active += 1
        task.state = TaskState.QUEUED
        insort(self._queue, (self._world.steps, not first, number, task), key=_ORDER)
        return None

    def set_aside(self, tasks: Iterable[SagaTask]) -> Wake | None:
        given_up = set(tasks)
        for turn in self._turns:
            if turn.task in given_up and not turn.is_set_aside:
                turn.is_set_aside = True
                self._finished_slice()
        return None

    def own_task(self) -> SagaTask | None:
        running = self._world.frames[-1] if self._world.frames else None
        mine = (turn.task for turn in self._turns if not turn.is_set_aside)
        return running if running in mine else None

    def event(self) -> threading.Event:
        return _SimulatedEvent(self._world)

    def condition(self) -> threading.Condition:
        return _SimulatedCondition(self._world, self.lock)

    def stop(self) -> None:
        """Nothing: frames end by themselves."""

    # As a source

    def count(self) -> int:
        busy = sum(not turn.is_set_aside for turn in self._turns) if self._turns else 0
        return len(self._queue) if busy < self.max_workers else 0

    def happen(self, index: int) -> None:
        task = self._queue.pop(index)[3]
        turn = _Turn(task)
        self._turns.append(turn)
        self._world.frames.append(task)
        self.slice_length = self._world.choices.turn()
        with self.lock:
            task.state = TaskState.RUNNING
        variables = task.variables or Context()
        variables.run(self._run, task, variables)
        self._world.frames.pop()
        self._turns.remove(turn)
        if not turn.is_set_aside:
            with self.lock:
                self._finished_slice()
        if task.done() and isinstance(task.error, KeyboardInterrupt):
            self._world.fail(task.error)  # on one thread Ctrl-C comes to whoever runs

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

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> bool:
        self._world.check_thread()
        self.release()
        try:
            return self._world.run_until(lambda: bool(predicate()), timeout)
        finally:
            self.acquire()
