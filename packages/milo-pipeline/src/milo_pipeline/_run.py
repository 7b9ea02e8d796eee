"""``Pipeline.run``: a store of its own, one saga, and the thread that waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from logging import getLogger
from typing import TYPE_CHECKING, Any, TypeAlias

from milo_core import Action, Store
from milo_effects import SagaTask
from milo_pipeline._interrupts import interrupts_deferred
from milo_pipeline._saga import Run
from milo_pipeline._waiting import wait_for_end
from milo_pipeline.actions import ACTION_TYPES, pipeline_cancelled
from milo_pipeline.observers import Observers, PipelineObserver
from milo_pipeline.result import PipelineResult, blocked_by
from milo_pipeline.run_plan import RunPlan
from milo_pipeline.state import PipelineState
from milo_pipeline.statuses import COMPLETED, PENDING
from milo_pipeline.timeline import follow_active_pipeline

if TYPE_CHECKING:
    from milo_pipeline._memory import Memory
    from milo_pipeline.pipeline import Pipeline

_log = getLogger(__name__)

OnEvent: TypeAlias = Callable[[Action, PipelineState], None]


def run_pipeline(
    pipeline: Pipeline,
    plan: RunPlan,
    *,
    memory: Callable[[], Memory] | None = None,
    max_workers: int | None,
    on_event: OnEvent | None,
    cancel: threading.Event | None,
    observers: Iterable[PipelineObserver] = (),
) -> PipelineResult:
    """See ``Pipeline.run``."""
    watching = Observers(pipeline, observers)
    remembered = None if memory is None else memory()
    run = Run(pipeline, plan, remembered)
    store: Store[Any]
    if on_event is None and not watching:  # then nobody pays for being told
        store = Store(pipeline.build_reducer(), None, max_workers=max_workers)
    else:
        events = _Events(pipeline.build_reducer(), on_event, watching)
        store = Store(events.reduce, None, max_workers=max_workers)
        store.subscribe(events.tell)
    publish_end = follow_active_pipeline(store.get_state)
    try:
        _wait_out(store, run, watching, cancel)
    finally:
        if store.state.status == PENDING:  # cancelled before its first step, so it said nothing
            store.dispatch(pipeline_cancelled(time.monotonic()))
        publish_end()
        if remembered is not None:
            remembered.close(completed=store.state.status == COMPLETED)
    state: PipelineState = store.state
    return PipelineResult(
        state,
        run.execution.results,
        run.execution.errors,
        blocked_by(pipeline.plan, state),
        {pipeline.phases[i].name: reason for i, reason in plan.left_out.items()},
    )


def _wait_out(
    store: Store[Any], run: Run, watching: Observers, cancel: threading.Event | None
) -> None:
    """Start the run; block until it has ended, cancelled or not, and its store is shut down.

    Ctrl-C cancels the run and is raised once running handlers have ended. A second one is
    raised at once and leaves them behind.
    """
    task: SagaTask | None = None
    try:
        with interrupts_deferred():  # or one that meets the start of a thread may be lost
            task = store.run_saga(run.saga(), cancel)
        wait_for_end(task, cancel)
    except KeyboardInterrupt:
        if task is not None:
            task.cancel()
            wait_for_end(task)
        _end(store, watching)
        raise
    except BaseException:  # the run's own saga has fallen over
        _end(store, watching)
        raise
    _end(store, watching)


def _end(store: Store[Any], watching: Observers) -> None:
    store.shutdown()
    watching.close(store.state)


class _Events:
    """Tells observers and ``on_event`` of each pipeline action with the state it led to, in order.

    The reducer, under the store's lock, notes them; the listener, which runs one at a time
    and without that lock, passes them on.
    """

    def __init__(
        self,
        reducer: Callable[[Any, Action], Any],
        on_event: OnEvent | None,
        watching: Observers,
    ) -> None:
        self._reducer = reducer
        self._on_event = on_event
        self._watching = watching
        self._noted: deque[tuple[Action, PipelineState]] = deque()

    def reduce(self, state: Any, action: Action) -> Any:
        after = self._reducer(state, action)
        if action.type in ACTION_TYPES:
            self._noted.append((action, after))
        return after

    def tell(self) -> None:
        while self._noted:
            action, state = self._noted.popleft()
            self._watching.on_event(action, state)
            if self._on_event is None:
                continue
            try:
                self._on_event(action, state)
            except BaseException:  # foreign code; not even sys.exit() in it ends the run
                _log.exception("on_event raised on %s; the run goes on", action.type)
