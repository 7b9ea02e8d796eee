"""The runs of this process, for whoever shows them. Imports nothing of MCP.

A ``RunBook`` knows every run that began while somebody watched it, and the last of those that
have ended. What happens is written down by the thread that dispatched it; who watches is told
on that thread which part of which run has changed, and reads the rest when it suits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Final, TypeAlias

from milo_pipeline.state import PipelineState

KEPT_RUNS: Final = 20
"""How many runs that have ended are kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something has changed: of run ``run_id``, or, without one, which runs there are.

    ``logs_of`` is the phase that has written lines, if it was that.
    """

    run_id: str = ""
    logs_of: str = ""


Hear: TypeAlias = Callable[[Change], None]

LISTING: Final = Change()


class Run:
    """One run, and the state it is in, which one thread at a time replaces as a whole."""

    __slots__ = ("_book", "has_ended", "id", "state")

    def __init__(self, book: RunBook, run_id: str, state: PipelineState) -> None:
        self._book = book
        self.id = run_id
        self.state = state
        self.has_ended = False

    def moved(self, state: PipelineState) -> None:
        """It is in ``state`` now."""
        self.state = state
        self._book.tell(Change(self.id))

    def logged(self, state: PipelineState, phase: str) -> None:
        """It is in ``state`` now, and ``phase`` has written a line."""
        self.state = state
        self._book.tell(Change(self.id, phase))

    def ended(self, state: PipelineState) -> None:
        """``state`` is its last."""
        self.state = state
        self._book.end(self)
        self._book.tell(Change(self.id))


class RunBook:
    """The runs in the order in which they began, and who wants to hear of them.

    All methods may be called from any thread. Hearers are called without a lock, on the thread
    that makes the change; they must be quick and must not raise.
    """

    def __init__(self, keep: int = KEPT_RUNS) -> None:
        self._keep = keep
        self._lock = Lock()  # guards the three below, which are replaced or changed under it
        self._runs: dict[str, Run] = {}
        self._hearers: tuple[Hear, ...] = ()
        self._numbers = count(1)

    @property
    def is_watched(self) -> bool:
        """Whether anybody wants to hear of runs; if nobody does, they need not be written down."""
        return bool(self._hearers)

    def begin(self, state: PipelineState) -> Run:
        """Write a new run down, which is in ``state``."""
        with self._lock:
            run = Run(self, f"run-{next(self._numbers)}", state)
            self._runs[run.id] = run
        self.tell(LISTING)
        return run

    def end(self, run: Run) -> None:
        """``run`` has ended; of those that have, the oldest are forgotten if they are too many."""
        with self._lock:
            run.has_ended = True
            ended = [each.id for each in self._runs.values() if each.has_ended]
            forgotten = ended[: max(0, len(ended) - self._keep)]
            for run_id in forgotten:
                del self._runs[run_id]
        if forgotten:
            self.tell(LISTING)

    def run(self, run_id: str) -> Run | None:
        """The run of this id, unless it is unknown or forgotten."""
        with self._lock:
            return self._runs.get(run_id)

    def run_of(self, state: PipelineState) -> Run | None:
        """The run that was, is or will be in ``state``, told by when it began."""
        for run in reversed(tuple(self)):
            of_run = run.state
            if (of_run.name, of_run.started_at) == (state.name, state.started_at):
                return run
        return None

    def __iter__(self) -> Iterator[Run]:
        with self._lock:
            return iter(tuple(self._runs.values()))

    def watch(self, hear: Hear) -> Callable[[], None]:
        """Call ``hear`` with every change from now on, until the returned function is called."""
        with self._lock:
            self._hearers = (*self._hearers, hear)

        def stop() -> None:
            with self._lock:
                self._hearers = tuple(each for each in self._hearers if each is not hear)

        return stop

    def tell(self, change: Change) -> None:
        """Tell everybody who watches."""
        for hear in self._hearers:
            hear(change)


RUNS: Final = RunBook()
"""Those of this process."""
