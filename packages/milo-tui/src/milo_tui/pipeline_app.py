"""An application that runs a pipeline and shows it, until its user has seen enough."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from milo_core import Action, Cmd, Key, Quit, ReducerResult, Store
from milo_core.actions import INIT, KEY, RESIZE
from milo_pipeline import (
    Pipeline,
    PipelineResult,
    PipelineState,
    PipelineViewState,
    make_detail_reducer,
)
from milo_pipeline.detail import DetailReducer
from milo_tui.app import PLAIN, App
from milo_tui.pipeline_view import pipeline_view
from milo_tui.terminal import Terminal

STATE: Final = "@@PIPELINE_STATE"
"""The run is in this ``PipelineState`` now."""
STOPPED: Final = "@@PIPELINE_STOPPED"
"""The run could not be: the payload is the error."""
TICK: Final = 0.1
"""Seconds between two frames of a pipeline in which nothing happens but time."""

OnEvent = Callable[[Action, PipelineState], None]


class PipelineApp(App[PipelineViewState]):
    """Runs ``pipeline`` on a thread of its own, as ``Pipeline.run``, and shows it.

    It is shown until its user quits, also after its end, when ``r`` runs a failed phase again.
    Quitting earlier cancels the run and waits for it. Without a terminal it is printed when it
    has ended.

    Args:
        options: those of ``Pipeline.run``, but ``cancel``.

    Attributes:
        result: what ``Pipeline.run`` has returned last; ``None`` until then.
        exit_code: 0 when it has completed, 1 when it has not.

    Raises:
        DefinitionError, ParameterError: as ``Pipeline.run``; by ``run``.
    """

    def __init__(
        self, pipeline: Pipeline, *, terminal: Terminal | None = None, **options: Any
    ) -> None:
        self._runs = _Runs(pipeline, options)
        super().__init__(
            reducer=_reducer(self._runs),
            initial_state=PipelineViewState(pipeline.build_reducer()(None, Action(INIT))),
            view=pipeline_view,
            tick_rate=TICK,
            terminal=terminal,
        )

    @property
    def result(self) -> PipelineResult | None:
        return self._runs.result

    def run(self) -> PipelineViewState:
        """As any ``App``; raises what has kept the pipeline from being run."""
        state = super().run()
        if self._runs.failure is not None:
            raise self._runs.failure
        completed = self.result is not None and self.result.ok
        self.exit_code = 0 if completed else 1
        return state

    @contextmanager
    def _beside(self, store: Store[PipelineViewState]) -> Iterator[None]:
        self._runs.start(store.dispatch)
        try:
            yield
        finally:
            if self._runs.cancel():
                self._winding_down()
            self._runs.join()

    def _winding_down(self) -> None:
        """The user has quit, and the run has been cancelled but not ended."""

    def _wait(self, store: Store[PipelineViewState]) -> None:
        store.dispatch(Action(RESIZE, PLAIN))
        self._runs.join()


class _Runs:
    """The runs of one application, of which one at a time goes on."""

    def __init__(self, pipeline: Pipeline, options: dict[str, Any]) -> None:
        self.result: PipelineResult | None = None
        self.failure: BaseException | None = None
        self._pipeline = pipeline
        self._on_event: OnEvent | None = options.pop("on_event", None)
        self._options = options
        self._cancel = threading.Event()
        self._lock = threading.Lock()  # guards the thread
        self._thread: threading.Thread | None = None
        self._dispatch: Callable[[Action], Any] = lambda action: None

    def start(self, dispatch: Callable[[Action], Any]) -> None:
        """Run the pipeline; ``dispatch`` is told of its states, on the run's own threads."""
        self._dispatch = dispatch
        self._begin(**self._options)

    def rerun(self, phase: str) -> None:
        """Run ``phase`` again and what waits for it, if the run has ended; from any thread."""
        if self.result is not None:
            kept = {"params", "max_workers", "keep_going", "observers", "cache"}
            options = {name: value for name, value in self._options.items() if name in kept}
            self._begin(**options, resume_from=self.result, changed=[phase])

    def cancel(self) -> bool:
        """Have what goes on end, and begin nothing more; whether something goes on."""
        self._cancel.set()
        with self._lock:
            return self._thread is not None and self._thread.is_alive()

    def join(self) -> None:
        """Wait for the end of the run."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _begin(self, **options: Any) -> None:
        with self._lock:
            if self._cancel.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(
                target=self._run, args=(options,), name="milo-tui-run", daemon=True
            )
            self._thread.start()

    def _run(self, options: dict[str, Any]) -> None:
        try:
            self.result = self._pipeline.run(**options, on_event=self._heard, cancel=self._cancel)
        except BaseException as failure:  # raised again by the application's run
            self.failure = failure
            self._dispatch(Action(STOPPED))
        else:
            self._dispatch(Action(STATE, self.result.state))

    def _heard(self, action: Action, state: PipelineState) -> None:
        if self._on_event is not None:
            self._on_event(action, state)
        self._dispatch(Action(STATE, state))


def keys_over_states() -> DetailReducer:
    """The keys of a pipeline, whose state is the payload of the latest ``STATE``."""
    return make_detail_reducer(
        lambda state, action: action.payload if action.type == STATE else state
    )


def _reducer(runs: _Runs) -> Callable[[PipelineViewState, Action], Any]:
    detail = keys_over_states()

    def reduce(view: PipelineViewState, action: Action) -> Any:
        if action.type == STOPPED:
            return Quit(view, 1)
        answer = detail(view, action)
        if action.type == KEY and action.payload == Key(char="r") and answer is view:
            return _asked_again(view, runs)
        return answer

    return reduce


def _asked_again(view: PipelineViewState, runs: _Runs) -> Any:
    phases = view.pipeline.phases
    if not 0 <= view.selected_phase < len(phases):
        return view
    phase = phases[view.selected_phase]
    if phase.status != "failed":
        return view
    return ReducerResult(view, cmds=(Cmd(partial(runs.rerun, phase.name)),))
