"""What milo-pipeline raises, each below what also catches it.

    MiloError (milo_core)
    └── PipelineError
        ├── DefinitionError   a phase, policy or pipeline was written in a way it cannot run
        │   ├── CycleError    phases wait for each other; ``path`` shows how
        │   └── ParameterError  a run was given a parameter it does not know, or not as declared
        ├── ItemFailed        an item of a phase with ``map_over`` failed
        ├── TransferError     what a phase's process is given or gives back cannot be pickled
        ├── ProcessDied       a phase's process ended before its handler had
        ├── PhaseTimeout      a handler did not return in its time (a ``TimeoutError``, too)
        └── PipelineFailed    a run did not complete; ``result`` holds all of it

All of them say what was given, what was expected and what to do.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from milo_core import MiloError

if TYPE_CHECKING:
    from milo_pipeline.result import PipelineResult


class PipelineError(MiloError):
    """Base of every error that milo-pipeline raises on purpose."""


class DefinitionError(PipelineError):
    """A phase, policy or pipeline cannot run as it was written.

    Raised where the mistake is made: by ``Phase`` and ``PhasePolicy`` for their own
    fields, by ``Pipeline`` for names and dependencies. Nothing has run yet.
    """


class CycleError(DefinitionError):
    """Raised when a pipeline dependency graph contains a cycle.

    Attributes:
        path: the names along one cycle, each before the phase that waits for it, the
            first again at the end: ``("a", "b", "a")``.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        names = " → ".join(self.path)
        return f"{names} is a cycle; take one of these names out of a depends_on"


class ParameterError(DefinitionError):
    """A parameter is missing, unknown, or of another type than declared. Nothing has run."""


class PhaseTimeout(PipelineError, TimeoutError):
    """An attempt took longer than the ``timeout`` of its phase. Its policy says what follows."""


class TransferError(PipelineError):
    """The handler of a phase, an argument, its result or its error cannot change processes."""


class ProcessDied(PipelineError):
    """The process of a phase ended before its handler returned or raised.

    Attributes:
        phase: the name of the phase.
        returncode: its exit code, negative if a signal ended it.
    """

    def __init__(self, phase: str, returncode: int) -> None:
        super().__init__(phase, returncode)
        self.phase = phase
        self.returncode = returncode

    def __str__(self) -> str:
        return f"the process of phase {self.phase!r} {self._end()} before its handler returned"

    def _end(self) -> str:
        if self.returncode >= 0:
            return f"ended with exit code {self.returncode}"
        try:
            return f"was ended by {signal.Signals(-self.returncode).name}"
        except ValueError:  # a real-time signal
            return f"was ended by signal {-self.returncode}"


class ItemFailed(PipelineError):
    """An item of a phase with ``map_over`` failed for good; its error is the ``__cause__``.

    Attributes:
        item: the number of the item, from 0.
    """

    def __init__(self, item: int, error: Exception) -> None:
        super().__init__(item, error)
        self.item = item

    def __str__(self) -> str:
        return f"item {self.item}: {self.args[1] or type(self.args[1]).__name__}"


class PipelineFailed(PipelineError):
    """A run ended without completing; raised by ``PipelineResult.raise_for_status()``.

    The message names every failed phase with its error; the first error is the
    ``__cause__``.

    Attributes:
        result: the ``PipelineResult`` of the run.
    """

    def __init__(self, result: PipelineResult) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return self.result.summary()
