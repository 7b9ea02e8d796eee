"""Calling a handler in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from milo_pipeline._checks import is_seconds, refuse_unless
from milo_pipeline.errors import DefinitionError
from milo_pipeline.executors.executor import Executor

if TYPE_CHECKING:
    from milo_pipeline.phase import Phase


@dataclass(frozen=True, kw_only=True)
class ProcessExecutor(Executor):
    """Calls each handler in a fresh Python process, so that Python code runs in parallel.

    Handler, arguments and result are pickled. The handler has to be importable: a function of a
    module or of the program's file, a method of an object that can be pickled, or a ``partial``
    of these. ``if __name__ == "__main__":`` blocks do not run there. An async handler has an
    event loop of its own. What the handler raises is raised here, with its traceback as a note.

    The process has no standard input, its lines are the phase's, also those of programs that
    it starts and of C code, and ``logging`` is not configured. The phase ends when its process
    has, which waits for the handler's threads.

    When the attempt is out of time or the run is cancelled, the process and its group are sent
    SIGTERM, which raises ``SystemExit`` in the handler and ends what it runs by
    ``milo_capture.run``; and SIGKILL after ``kill_after`` seconds at the latest. It also ends
    when the program that runs the pipeline is killed.

    Raised in the handler's place:
        TransferError: something cannot be pickled, or not be found in the process.
        ProcessDied: the process ended before the handler did.
    """

    # Above the five seconds of milo_capture.run, so that a handler can end its own programs.
    kill_after: float = 10.0

    def __post_init__(self) -> None:
        refuse_unless(
            is_seconds(self.kill_after),
            "ProcessExecutor",
            f"kill_after must be a number of seconds from 0, not {self.kill_after!r}",
        )

    def check(self, phase: Phase) -> None:
        """Refuse a handler that the process could not import."""
        from milo_pipeline.executors._packing import is_unpacking, why_not_importable

        owner = f"phase {phase.name!r}"
        if not hasattr(os, "killpg"):
            raise DefinitionError(
                f"{owner}: executor 'process' needs process groups, which this platform does "
                "not have; leave it out"
            )
        if is_unpacking():
            raise DefinitionError(
                f"{owner}: its process was importing the program's file, which started this "
                "run again; put the run under if __name__ == '__main__':"
            )
        if why := why_not_importable(phase.handler):
            raise DefinitionError(
                f"{owner}: executor 'process' cannot take the handler {phase.handler!r:.200}: "
                f"{why}; make it a function at the top level of a module"
            )

    def call(self, phase: Phase, arguments: Mapping[str, Any]) -> Any:
        """What the handler returned in its process."""
        from milo_pipeline.executors._calling import call_in_process  # most programs go without

        return call_in_process(phase, arguments, self.kill_after)
