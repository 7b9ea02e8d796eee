"""Watching the tree of sagas: who started whom, and where each of them stands."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import deque
from weakref import WeakKeyDictionary, WeakMethod

from milo_effects._brief import saga_name
from milo_effects._monitoring import task_above
from milo_effects._saga_tree import Node, drawn, outcome, remembered, with_those_above
from milo_effects.monitors import Living, SagaMonitor
from milo_effects.task import SagaTask


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
            above = {node: remembered(node.above) for node in nodes}
        if not ended:
            nodes = with_those_above([each for each in nodes if each.task is not None], above)
        nodes.sort(key=lambda node: node.number)
        return "\n".join(lead + node.describe() for lead, node in drawn(nodes, above))

    def attached(self, living: Living) -> None:
        with self._lock:
            self._stores = [each for each in self._stores if each() is not None]
            self._stores.append(WeakMethod(living))
        self._catch_up()

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
            while (above := remembered(node.above)) is not None:
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
        text, now = outcome(task), task.clock.now()
        with self._lock:
            self._end(self._node(task), text, now)

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
        above = None if started_by is None else remembered(self._node(started_by))
        node = self._nodes.get(task)
        if node is None:
            node = self._living[task] = self._nodes[task] = Node(task, next(self._numbers))
        node.above = above
        node.started_by = None if started_by is None else started_by.saga_id
        node.name = saga_name(task.generator) or node.name
        return node

    def _end(self, node: Node, text: str, now: float) -> None:
        if node.task is None:
            return
        del self._living[node.task]
        node.outcome = text if node.began is None else f"{text} after {now - node.began:.1f}s"
        node.task = node.doing = None
        self._ended.append(node)
        if len(self._ended) > self._keep:
            forgotten = self._ended.popleft()
            forgotten.above = remembered(forgotten.above)
            forgotten.is_forgotten = True


def _order_of_making(task: SagaTask) -> tuple[int, str]:
    """Those with a number by it; those with a name of their own behind them."""
    return (task._id, "") if isinstance(task._id, int) else (sys.maxsize, task._id)
