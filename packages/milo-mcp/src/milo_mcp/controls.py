"""Running pipelines for clients: what a server offers that was told to. Imports nothing of MCP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from milo_core.errors import MiloError
from milo_mcp.publishing import announcing
from milo_mcp.runs import RUNS, Run, RunBook
from milo_pipeline import Pipeline, PipelineResult


class ControlError(MiloError):
    """What was asked for cannot be done; says why and what can."""


class _Started:
    """A run that was started here."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.cancel = threading.Event()
        self.begun = threading.Event()
        self.run: Run | None = None
        self.result: PipelineResult | None = None
        self.error: BaseException | None = None
        self.thread: threading.Thread | None = None

    def begin(self, run: Run) -> None:
        if self.run is None:  # else it is one that a phase has begun in turn
            self.run = run
            self.begun.set()


class PipelineControls:
    """Starts, cancels and re-runs ``pipelines``, by their names.

    Each run is a call of ``Pipeline.run`` on a thread of its own, so it is published like any
    other. Methods may be called from any thread; they block until a run has begun, not until it
    has ended.

    Raises:
        ValueError: there is no pipeline, or two have one name.
    """

    def __init__(self, *pipelines: Pipeline, book: RunBook = RUNS) -> None:
        self.pipelines: Mapping[str, Pipeline] = {each.name: each for each in pipelines}
        if not pipelines or len(self.pipelines) < len(pipelines):
            names = ", ".join(each.name for each in pipelines) or "none"
            raise ValueError(f"takes pipelines with different names, was given: {names}")
        self._book = book
        self._lock = threading.Lock()  # guards what follows
        self._started: dict[str, _Started] = {}
        self._is_closed = False

    def start(self, name: str | None = None, params: Mapping[str, Any] | None = None) -> str:
        """Run a pipeline, the only one if there is no ``name``; the id of its run.

        Raises:
            ControlError: there is no such pipeline, it is not said which, its parameters are
                wrong, or it could not begin.
        """
        pipeline = self._pipeline(name)
        return self._begin(pipeline, lambda cancel: pipeline.run(params=params, cancel=cancel))

    def rerun(self, run_id: str, phase: str) -> str:
        """Run a failed phase again, and whatever waits for it; the id of the new run.

        What else was completed in run ``run_id`` keeps its result. Other phases that failed in it
        run again, too.

        Raises:
            ControlError: the run was not started here, goes on, or its phase has not failed.
        """
        started = self._of(run_id)
        result = started.result
        if result is None:
            raise ControlError(
                f"run {run_id!r} has not ended; wait for its end, or cancel it before"
            )
        statuses = {each.name: each.status for each in result.state.phases}
        if statuses.get(phase) != "failed":
            failed = ", ".join(n for n, status in statuses.items() if status == "failed") or "none"
            raise ControlError(
                f"phase {phase[:200]!r} of run {run_id!r} is {statuses.get(phase, 'unknown')}; "
                f"failed are: {failed}"
            )
        pipeline = started.pipeline
        return self._begin(
            pipeline,
            lambda cancel: pipeline.run(resume_from=result, changed=[phase], cancel=cancel),
        )

    def cancel(self, run_id: str) -> bool:
        """Stop a run; whether it was still going on. Its end is told as that of any run.

        Raises:
            ControlError: it was not started here.
        """
        started = self._of(run_id)
        started.cancel.set()
        return started.run is not None and not started.run.has_ended

    def close(self) -> None:
        """Cancel what goes on and wait for its end; nothing can be started any more."""
        with self._lock:
            self._is_closed = True
            started = tuple(self._started.values())
        for each in started:
            each.cancel.set()
        for each in started:
            if each.thread is not None:
                each.thread.join()

    def _pipeline(self, name: str | None) -> Pipeline:
        names = ", ".join(self.pipelines)
        if name is None:
            if len(self.pipelines) > 1:
                raise ControlError(f"say which pipeline to run; there are: {names}")
            return next(iter(self.pipelines.values()))
        if name not in self.pipelines:
            raise ControlError(f"there is no pipeline {name[:200]!r}; there are: {names}")
        return self.pipelines[name]

    def _of(self, run_id: str) -> _Started:
        with self._lock:
            found = self._started.get(run_id)
            known = ", ".join(self._started) or "none"
        if found is None:
            raise ControlError(
                f"run {run_id[:200]!r} was not started by this server; started were: {known}"
            )
        return found

    def _begin(self, pipeline: Pipeline, run: Callable[[threading.Event], PipelineResult]) -> str:
        started = _Started(pipeline)

        def work() -> None:
            try:
                with announcing(started.begin):
                    started.result = run(started.cancel)
            except BaseException as error:  # told to whoever waits for the begin, if anybody does
                started.error = error
            finally:
                started.begun.set()

        started.thread = threading.Thread(target=work, name=f"milo-mcp-{pipeline.name}")
        with self._lock:
            if self._is_closed:
                raise ControlError("the server is being closed; nothing is started any more")
            started.thread.start()
        started.begun.wait()
        if started.run is None:
            raise ControlError(f"it could not begin: {started.error}") from started.error
        with self._lock:
            self._started[started.run.id] = started
            for run_id in [each for each in self._started if self._book.run(each) is None]:
                del self._started[run_id]  # as forgotten as it is in the book
        return started.run.id
