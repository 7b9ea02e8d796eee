"""The tree of sagas as text: its nodes, and how they are drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from milo_effects._brief import brief, brief_error, saga_line
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

    def __init__(self, task: SagaTask, number: int) -> None:
        self.task: SagaTask | None = task
        self.saga_id = task.saga_id
        self.name = ""
        """The generator function's; empty if it is one of Milo's or no step was taken."""
        self.started_by: str | None = None
        self.above: Node | None = None
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


def outcome(task: SagaTask) -> str:
    if task.error is None:
        return f"returned {brief(task.value)}"
    return "was cancelled" if task.was_cancelled() else f"failed with {brief_error(task.error)}"


def remembered(node: Node | None) -> Node | None:
    """``node``, or the nearest above it that is remembered; under the lock."""
    while node is not None and node.is_forgotten:
        node = node.above
    return node


def with_those_above(nodes: list[Node], above: dict[Node, Node | None]) -> list[Node]:
    found = set(nodes)
    for each in nodes:
        node = above[each]
        while node is not None and node not in found:
            found.add(node)
            node = above[node]
    return list(found)


def drawn(nodes: list[Node], above: dict[Node, Node | None]) -> Iterator[tuple[str, Node]]:
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
