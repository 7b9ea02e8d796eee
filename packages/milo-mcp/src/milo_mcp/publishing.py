"""What has every ``Pipeline.run`` of this process written down: the entry point of this package.

Imports nothing of MCP, and a run that nobody watches costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeAlias

from milo_core import Action
from milo_mcp.runs import RUNS, Run, RunBook
from milo_pipeline import Pipeline
from milo_pipeline.observers import PipelineObserver
from milo_pipeline.phase_status import PhaseLog, PhaseStatus
from milo_pipeline.state import PipelineState

Announce: TypeAlias = Callable[[Run], None]
_announce: Final[ContextVar[Announce | None]] = ContextVar("milo_mcp_announce", default=None)


@contextmanager
def announcing(announce: Announce) -> Iterator[None]:
    """In the block, ``announce`` is called with a run that this context begins."""
    token = _announce.set(announce)
    try:
        yield
    finally:
        _announce.reset(token)


def observer(pipeline: Pipeline) -> PipelineObserver | None:
    """The observer of a run that begins, if there is a server that shows runs."""
    return RunObserver(RUNS, _announce.get()) if RUNS.is_watched else None


class RunObserver(PipelineObserver):
    """Writes one run down in ``book``."""

    def __init__(self, book: RunBook, announce: Announce | None = None) -> None:
        self._book = book
        self._announce = announce
        self._run: Run | None = None

    def run_started(self, state: PipelineState, action: Action) -> None:
        """It gets an id."""
        self._run = self._book.begin(state)
        if self._announce is not None:
            self._announce(self._run)

    def phase_started(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        """Its state is another."""
        self._moved(state)

    def phase_retrying(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        """Its state is another."""
        self._moved(state)

    def phase_ended(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        """Its state is another."""
        self._moved(state)

    def phase_logged(
        self, phase: PhaseStatus, line: PhaseLog, state: PipelineState, action: Action
    ) -> None:
        """Its state is another, and so are the logs of a phase."""
        if self._run is not None:
            self._run.logged(state, phase.name)

    def run_ended(self, state: PipelineState) -> None:
        """It keeps its last state."""
        if self._run is not None:
            self._run.ended(state)

    def _moved(self, state: PipelineState) -> None:
        if self._run is not None:
            self._run.moved(state)
