"""Every event of every saga as a line in a log, indented as the tree of sagas is."""

from __future__ import annotations

import logging

from milo_effects._brief import brief, brief_error
from milo_effects.task import SagaTask
from milo_effects.tree_monitor import TreeMonitor

_log = logging.getLogger(__name__)


class LoggingMonitor(TreeMonitor):
    """A ``TreeMonitor`` that logs what it is told, one line for each event.

    A line is indented by two spaces for each saga above its own. Records have ``milo_saga_id``,
    ``milo_saga_name``, ``milo_event`` (the method's name, such as ``"effect_yielded"``) and
    ``milo_started_by`` (a saga's id or ``None``) as attributes. The line of a saga that failed
    comes with the traceback.

    Args:
        logger: where to; by default the logger ``milo_effects.logging_monitor``.
        level: of all lines. Nothing is formatted while the logger does not take it.
        keep: see ``TreeMonitor``.

    >>> import sys
    >>> from milo_core import Store
    >>> from milo_effects import Call, Fork, install_monitor
    >>> def worker():
    ...     yield Call(len, ("abc",))
    >>> def main():
    ...     task = yield Fork(worker)
    >>> logger = logging.Logger("sagas")
    >>> logger.addHandler(logging.StreamHandler(sys.stdout))
    >>> store = Store(lambda state, action: state, None, max_workers=1)
    >>> undo = install_monitor(store, LoggingMonitor(logger))
    >>> with store:
    ...     _ = store.run_saga(main), store.wait_idle()
    saga-... main: started
    saga-... main: yields Fork(worker)
    saga-... main: Fork(worker) -> <SagaTask saga-...>
    saga-... main: returned None after ...s
      saga-... worker: started by saga-...
      saga-... worker: yields Call(len, args=('abc',))
      saga-... worker: Call(len, args=('abc',)) -> 3
      saga-... worker: returned None after ...s
    """

    def __init__(
        self,
        logger: logging.Logger | None = None,
        level: int = logging.DEBUG,
        *,
        keep: int = 1000,
    ) -> None:
        super().__init__(keep=keep)
        self._logger = logger or _log
        self._level = level

    def saga_started(self, task: SagaTask, started_by: SagaTask | None) -> None:
        super().saga_started(task, started_by)
        if self._is_heard():
            by = "" if started_by is None else f" by {started_by.saga_id}"
            self._write("saga_started", task, f"started{by}")

    def effect_yielded(self, task: SagaTask, effect: object) -> None:
        super().effect_yielded(task, effect)
        if self._is_heard():
            self._write("effect_yielded", task, f"yields {brief(effect)}")

    def effect_answered(self, task: SagaTask, effect: object, value: object) -> None:
        super().effect_answered(task, effect, value)
        if self._is_heard():
            self._write("effect_answered", task, f"{brief(effect)} -> {brief(value)}")

    def effect_failed(self, task: SagaTask, effect: object, error: BaseException) -> None:
        super().effect_failed(task, effect, error)
        if self._is_heard():
            self._write("effect_failed", task, f"{brief(effect)} raises {brief_error(error)}")

    def saga_cancelled(self, task: SagaTask) -> None:
        super().saga_cancelled(task)
        if self._is_heard():
            self._write("saga_cancelled", task, "is cancelled")

    def saga_ended(self, task: SagaTask) -> None:
        super().saga_ended(task)
        if self._is_heard():
            failed = task.error is not None and not task.was_cancelled()
            outcome = self.node(task).outcome
            self._write("saga_ended", task, outcome, task.error if failed else None)

    def _is_heard(self) -> bool:
        return self._logger.isEnabledFor(self._level)

    def _write(
        self, event: str, task: SagaTask, text: str, error: BaseException | None = None
    ) -> None:
        node = self.node(task)
        facts = {
            "milo_event": event,
            "milo_saga_id": task.saga_id,
            "milo_saga_name": node.name,
            "milo_started_by": node.started_by,
        }
        indent = "  " * self.depth(task)
        self._logger.log(
            self._level, "%s%s: %s", indent, node.label, text, exc_info=error, extra=facts
        )
