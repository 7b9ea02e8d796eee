"""The place where handlers are called by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from milo_pipeline.executors.executor import Executor

if TYPE_CHECKING:
    from milo_pipeline.phase import Phase


@dataclass(frozen=True)
class ThreadExecutor(Executor):
    """Calls the handler on the worker itself; an async one's coroutine goes to the event loop.

    ``executor="thread"`` means the same and makes none of these: the run calls the handler.
    """

    def call(self, phase: Phase, arguments: Mapping[str, Any]) -> Any:
        """What the handler returns."""
        return phase.handler(**arguments)
