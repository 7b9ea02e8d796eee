"""One run: a pipeline, the display that follows it, and Ctrl-C.

The pipeline runs on a thread of its own, so that the main one, where signals arrive, has
nothing to do but listen: to them, and for the end of the run.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from milo._cli.artifacts import NO_ARTIFACTS, Artifacts
from milo._cli.interrupts import exit_code_of, leave_at_once, signals_told_to
from milo._cli.outcome import Outcome
from milo_core import Action
from milo_pipeline import Pipeline, PipelineResult, PipelineState

if TYPE_CHECKING:
    from milo_pipeline.exports import CriticalStep, SpanRecorder

_WORTH_TELLING = 1.0
"""Seconds from which on the summary says where the time went."""
_WORTH_COMPARING = 3
"""How many phases make that a question."""


class Display(Protocol):
    """Follows one run: shown while it lasts, closed when its outcome is known."""

    def showing(self) -> AbstractContextManager[None]:
        """Be on the screen for as long as the body takes; leaves the terminal as it was."""

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Take note of an action; called in the order of their commit, one at a time."""

    def interrupted(self) -> None:
        """Say that the run winds down."""

    def close(self, outcome: Outcome) -> None:
        """Say how it ended."""


class Run:
    """A pipeline on its way: what it showed last, and what it came to.

    ``options`` are those of ``Pipeline.run``.

    Attributes:
        result: what ``Pipeline.run`` returned; ``None`` until then.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        display: Display,
        options: Mapping[str, Any] | None = None,
        artifacts: Artifacts = NO_ARTIFACTS,
    ) -> None:
        self.result: PipelineResult | None = None
        self._pipeline = pipeline
        self._options = options or {}
        self._artifacts = artifacts
        self._spans = _recorder() if artifacts else None
        self._display = display
        self._state: PipelineState | None = None
        self._failure: BaseException | None = None
        self._cancel = threading.Event()
        self._signals: list[int] = []
        # A signal as it arrives, ``None`` once the run has ended.
        self._inbox: SimpleQueue[int | None] = SimpleQueue()

    def execute(self) -> int:
        """Run to the end or to the second signal, show everything, return the exit code.

        The first signal cancels the run: running phases end and nothing new starts. After
        a second one threads may still be at work, so the process ends here.
        """
        thread = threading.Thread(target=self._run, name="milo-run", daemon=True)
        with signals_told_to(self._inbox.put):
            with self._display.showing():
                thread.start()
                ended = self._listen()
            if ended:
                thread.join()
            if self._failure is not None:
                raise self._failure
            outcome = self._outcome()
            try:
                self._display.close(outcome)
                self._leave_artifacts(outcome)
            finally:
                if not ended:
                    leave_at_once(outcome.exit_code)
        return outcome.exit_code

    @property
    def was_interrupted(self) -> bool:
        """Whether a signal came, be it too late to stop anything."""
        return bool(self._signals)

    def _run(self) -> None:
        try:
            self.result = self._pipeline.run(
                **self._options, on_event=self._on_event, cancel=self._cancel
            )
        except BaseException as failure:  # raised again on the main thread
            self._failure = failure
        finally:
            self._inbox.put(None)

    def _listen(self) -> bool:
        """Wait for the end; ``False`` if it was not waited for because a second signal came."""
        while (signum := self._inbox.get()) is not None:
            self._signals.append(signum)
            if len(self._signals) > 1:
                return False
            self._cancel.set()
            self._display.interrupted()
        return True

    def _on_event(self, action: Action, state: PipelineState) -> None:
        self._state = state
        if self._spans is not None:
            self._spans.on_event(action, state)
        self._display.on_event(action, state)

    def _leave_artifacts(self, outcome: Outcome) -> None:
        if self._spans is not None and outcome.state is not None:
            self._artifacts.write(
                self._pipeline, outcome.state, self._spans.spans(), outcome.errors
            )

    def _outcome(self) -> Outcome:
        order = self._pipeline.execution_order()
        last = order[-1] if order else ""
        if self.result is None:
            return Outcome(self._state, last_phase=last, interrupted=self._interrupted())
        completed = self.result.ok  # a signal may come too late to stop anything
        interrupted = 0 if completed else self._interrupted()
        return Outcome(
            self.result.state,
            self.result.errors,
            self.result.blocked,
            last,
            interrupted,
            _critical_path(self._pipeline, self.result.state),
        )

    def _interrupted(self) -> int:
        return exit_code_of(self._signals[0]) if self._signals else 0


def _recorder() -> SpanRecorder:
    from milo_pipeline.exports import SpanRecorder  # most runs leave nothing and go without

    return SpanRecorder()


def _critical_path(pipeline: Pipeline, state: PipelineState) -> tuple[CriticalStep, ...]:
    """For runs that take long enough to be asked about where their time went."""
    if state.elapsed < _WORTH_TELLING or len(pipeline.phases) < _WORTH_COMPARING:
        return ()
    from milo_pipeline.exports import critical_path

    return critical_path(pipeline.plan, state)
