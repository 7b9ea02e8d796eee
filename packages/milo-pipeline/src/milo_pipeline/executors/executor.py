"""What an executor is: it is handed a phase and arguments, and gives back a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from milo_pipeline.phase import Phase

THREAD: Final = "thread"
"""The name that stands for no detour: the run calls the handler itself."""


class Executor(ABC):
    """Calls handlers somewhere.

    One object serves every phase that has it, in any number of runs, and is called from many
    threads at once. One that a plugin makes is made when a run first needs it, and kept.
    """

    def check(self, phase: Phase) -> None:  # noqa: B027  # to be overridden by those who refuse
        """Refuse a phase that cannot run here; this one refuses none.

        Called at the start of a run for each phase that it is to run, before any has begun, on
        the thread that starts it. Also by ``build_saga`` and ``dry_run``.

        Raises:
            DefinitionError: what is wrong with the phase, and what to write instead.
        """

    @abstractmethod
    def call(self, phase: Phase, arguments: Mapping[str, Any]) -> Any:
        """What ``phase.handler(**arguments)`` returns, called wherever that is.

        Called once for each attempt, with ``map_over`` for each item's, on a worker of the
        run, which waits; ``max_workers`` bounds how many do. A coroutine that is returned is
        awaited on the run's event loop. What is raised counts as raised by the handler: the
        phase's policy says what follows, and nothing is retried after what is no ``Exception``.

        ``milo_capture.current_cancel()`` is the attempt's token. It is cancelled when the
        attempt is out of time, when the run is cancelled, and when ``fail_fast`` ends what
        runs; then the work should end and this raise something, which nobody looks at.
        ``milo_capture.run`` does so by itself.

        What this prints is the phase's output, if the pipeline captures it: the text of a
        handler elsewhere belongs in ``sys.stdout`` and ``sys.stderr`` while it comes.
        """
