"""The tree of sagas, as text: who started whom, and where each of them stands."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Final
from weakref import WeakKeyDictionary, WeakMethod

from milo_effects._brief import brief, brief_error, saga_line, saga_name
from milo_effects.monitors import Living, SagaMonitor, task_above
from milo_effects.task import SagaTask, TaskState

_DOES: Final = {
    TaskState.QUEUED: "is queued",
    TaskState.RUNNING: "runs",
    TaskState.PARKED: "waits",
    TaskState.DONE: "ends",
}
_WITH: Final = {
    TaskState.QUEUED: "with the answer to ",
    TaskState.RUNNING: "",
    TaskState.PARKED: "in ",
    TaskState.DONE: "after ",
}
"""What follows if the saga has yielded an effect that it has not been answered."""


class TreeMonitor(SagaMonitor):
    """Knows every saga that lives and the latest that have ended, and draws them.

    Also those that were started before it was installed, so it can be installed in a program
    that is stuck already. Of these it shows the line they stand on; of all others the effect
    and since when, too. It keeps living sagas' effects, and only texts of those that ended.

    Args:
        keep: how many sagas that have ended are remembered; the earliest is forgotten first.

    >>> from milo_core import Store
    >>> from milo_effects import Fork, Take, install_monitor
    >>> def worker():
    ...     yield Take("STOP")
    >>> def main():
    ...     yield Fork(worker)
    ...     return "done"
    >>> store, monitor = Store(lambda state, action: state, None), TreeMonitor()
    >>> undo = install_monitor(store, monitor)
    >>> task = store.run_saga(main)
    >>> store.wait_idle()
    True
    >>> print(monitor.tree())
    saga-... main: returned 'done' after 0.0s
    └─ saga-... worker: waits in Take('STOP') for 0.0s (...)
    >>> store.shutdown()
    """

    def __init__(self, *, keep: int = 1000) -> None:
        if keep < 0:
            raise ValueError(f"keep takes a number of sagas, 0 or more, was given {keep!r}")
        self._keep = keep
        self._lock = threading.Lock()
        """Guards all of the following, and every node's place."""
        self._numbers = itertools.count()
        self._living: dict[SagaTask, Node] = {}
        self._ended: deque[Node] = deque()
        self._nodes: WeakKeyDictionary[SagaTask, Node] = WeakKeyDictionary()
        """Every task's node as long as somebody has the task, ended and forgotten or not."""
        self._stores: list[WeakMethod[Living]] = []

    def tree(self, *, ended: bool = True) -> str:
        """A line for each saga, below the line of the one that started it, in order of start.

        With ``ended=False`` only the sagas that live, and those above them. May be called from
        any thread. Once the monitor has been uninstalled, it no longer knows what those that
        live are doing.
        """
        self._catch_up()
        with self._lock:
            nodes = [*self._ended, *self._living.values()]
            above = {node: _remembered(node.above) for node in nodes}
        if not ended:
            nodes = _with_those_above([each for each in nodes if each.task is not None], above)
        nodes.sort(key=lambda node: node.number)
        return "\n".join(lead + node.describe() for lead, node in _drawn(nodes, above))

    def attached(self, living: Living) -> None:
        with self._lock:
            self._stores = [each for each in self._stores if each() is not None]
            self._stores.append(WeakMethod(living))

    def saga_started(self, task: SagaTask, started_by: SagaTask | None) -> None:
        now = task.clock.now()
        with self._lock:
            self._add(task, started_by).began = now

    def effect_yielded(self, task: SagaTask, effect: object) -> None:
        self.node(task).doing = (effect, task.clock.now())

    def effect_answered(self, task: SagaTask, effect: object, value: object) -> None:
        self.node(task).doing = None

    def effect_failed(self, task: SagaTask, effect: object, error: BaseException) -> None:
        self.node(task).doing = None

    def saga_cancelled(self, task: SagaTask) -> None:
        self.node(task).doing = None

    def saga_ended(self, task: SagaTask) -> None:
        self._note_end(task)

    def node(self, task: SagaTask) -> Node:
        """What is known of a saga."""
        with self._lock:
            return self._node(task)

    def depth(self, task: SagaTask) -> int:
        """How many sagas are above this one."""
        with self._lock:
            depth, node = 0, self._node(task)
            while (above := _remembered(node.above)) is not None:
                depth, node = depth + 1, above
            return depth

    def _catch_up(self) -> None:
        """See what was not told, for lack of a turn or of an installed monitor."""
        with self._lock:
            stores = [living() for living in self._stores]
        living = [task for tasks in stores if tasks is not None for task in tasks()]
        with self._lock:
            for task in sorted(living, key=_order_of_making):
                self._node(task)
            over = [task for task in self._living if task.done()]
        for task in over:
            self._note_end(task)

    def _note_end(self, task: SagaTask) -> None:
        outcome, now = _outcome(task), task.clock.now()
        with self._lock:
            self._end(self._node(task), outcome, now)

    # Under the lock

    def _node(self, task: SagaTask) -> Node:
        """The task's node; made now, with those above it, if it was started unseen."""
        unseen: list[SagaTask] = []
        each: SagaTask | None = task
        while each is not None and each not in self._nodes:
            unseen.append(each)
            each = task_above(each.parent)
        for each in reversed(unseen):
            self._add(each, task_above(each.parent))
        return self._nodes[task]

    def _add(self, task: SagaTask, started_by: SagaTask | None) -> Node:
        above = None if started_by is None else _remembered(self._node(started_by))
        node = Node(task, started_by, above, next(self._numbers))
        self._living[task] = self._nodes[task] = node
        return node

    def _end(self, node: Node, outcome: str, now: float) -> None:
        if node.task is None:
            return
        del self._living[node.task]
        node.outcome = outcome if node.began is None else f"{outcome} after {now - node.began:.1f}s"
        node.task = node.doing = None
        self._ended.append(node)
        if len(self._ended) > self._keep:
            forgotten = self._ended.popleft()
            forgotten.above = _remembered(forgotten.above)
            forgotten.is_forgotten = True


class Node:
    """One saga in the tree. ``doing`` is set by the saga's worker, all else under the lock."""

    __slots__ = (
        "above",
        "began",
        "doing",
        "is_forgotten",
        "name",
        "number",
        "outcome",
        "saga_id",
        "started_by",
        "task",
    )

    def __init__(
        self, task: SagaTask, started_by: SagaTask | None, above: Node | None, number: int
    ) -> None:
        self.task: SagaTask | None = task
        self.saga_id = task.saga_id
        self.name = saga_name(task.generator)
        """The generator function's; empty if it is one of Milo's or no step was taken."""
        self.started_by = None if started_by is None else started_by.saga_id
        self.above = above
        self.number = number
        self.began: float | None = None
        self.doing: tuple[object, float] | None = None
        """An effect that has not been answered, and when it was yielded."""
        self.outcome = ""
        self.is_forgotten = False

    @property
    def label(self) -> str:
        """The id, and the name if there is one."""
        return f"{self.saga_id} {self.name}" if self.name else self.saga_id

    def describe(self) -> str:
        """The saga's line, of this moment. No lock may be held."""
        task, doing = self.task, self.doing
        if task is None:
            return f"{self.label}: {self.outcome}"
        text = _DOES[task.state]
        if doing is not None:
            effect, since = doing
            text = f"{text} {_WITH[task.state]}{brief(effect)} for {task.clock.now() - since:.1f}s"
        if task.cancelling:
            text = f"is cancelled, {text}"
        line = saga_line(task)
        return f"{self.label}: {text} ({line})" if line else f"{self.label}: {text}"


def _outcome(task: SagaTask) -> str:
    if task.error is None:
        return f"returned {brief(task.value)}"
    return "was cancelled" if task.was_cancelled() else f"failed with {brief_error(task.error)}"


def _order_of_making(task: SagaTask) -> tuple[int, str]:
    """Those with a number by it; those with a name of their own behind them."""
    return (task._id, "") if isinstance(task._id, int) else (sys.maxsize, task._id)


def _remembered(node: Node | None) -> Node | None:
    """``node``, or the nearest above it that is remembered; under the lock."""
    while node is not None and node.is_forgotten:
        node = node.above
    return node


def _with_those_above(nodes: list[Node], above: dict[Node, Node | None]) -> list[Node]:
    found = set(nodes)
    for each in nodes:
        node = above[each]
        while node is not None and node not in found:
            found.add(node)
            node = above[node]
    return list(found)


def _drawn(nodes: list[Node], above: dict[Node, Node | None]) -> Iterator[tuple[str, Node]]:
    """Every node behind the lines that lead to it, from the top down, in order."""
    below: dict[Node | None, list[Node]] = defaultdict(list)
    for node in nodes:
        below[above[node]].append(node)
    ahead = [("", "", root) for root in reversed(below[None])]
    while ahead:
        lead, indent, node = ahead.pop()
        yield lead, node
        turn, bar = "└─ ", "   "
        for child in reversed(below[node]):
            ahead.append((indent + turn, indent + bar, child))
            turn, bar = "├─ ", "│  "
