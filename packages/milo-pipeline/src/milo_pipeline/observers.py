"""Observers: being told what happens in every run, without the program asking for it.

An installed distribution declares a factory in the entry-point group ``milo.observers``. It
is called with the pipeline at the start of each run and returns an observer for this run, or
``None`` to stay out of it. ``Pipeline.run(observers=[...])`` takes observers directly:

>>> from milo_pipeline import Phase, Pipeline
>>> from milo_pipeline.observers import Observers, PipelineObserver
>>> class Stopwatch(PipelineObserver):
...     def phase_ended(self, phase, state, action):
...         print(f"{phase.name} {phase.status} after {phase.attempt} attempt")
...
...     def run_ended(self, state):
...         print(f"{state.name} {state.status}")
>>> pipeline = Pipeline("build", Phase("parse", handler=lambda: None))
>>> observers = Observers(pipeline, [Stopwatch()])
>>> result = pipeline.run(on_event=observers.on_event)
parse completed after 1 attempt
>>> observers.close(result.state)
build completed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from logging import DEBUG, ERROR, getLogger
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from milo_core import Action
from milo_core.errors import PluginError
from milo_core.plugins import PluginGroup, plugin_group
from milo_pipeline import actions
from milo_pipeline.phase_status import PhaseLog, PhaseStatus
from milo_pipeline.state import PipelineState

if TYPE_CHECKING:
    from milo_pipeline.pipeline import Pipeline

_log = getLogger(__name__)

OBSERVERS_GROUP: Final = "milo.observers"


class PipelineObserver:
    """What an observer can be told; override what you want to hear.

    One run's events come one at a time, in the order in which they happened, on the thread
    that dispatched the action; ``run_ended`` comes last, on the thread that called
    ``Pipeline.run``. ``state`` is the state that ``action`` led to and ``phase`` its part
    that changed; ``moment(action)`` says when. The run waits until the observer returns.
    What it raises is logged, the first time as an error, and disturbs neither the run nor
    other observers.
    """

    def run_started(self, state: PipelineState, action: Action) -> None:
        """The run begins; all its phases are pending."""

    def phase_started(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        """Attempt number ``phase.attempt``, from 1, begins."""

    def phase_logged(
        self, phase: PhaseStatus, line: PhaseLog, state: PipelineState, action: Action
    ) -> None:
        """The handler wrote a line; the last ones may come after the phase has ended.

        Those of a result that comes from a cache are told again, before the phase has ended.
        """

    def phase_retrying(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        """Attempt number ``phase.attempt`` failed with ``phase.error``; another one follows."""

    def phase_ended(self, phase: PhaseStatus, state: PipelineState, action: Action) -> None:
        """The phase is ``completed``, ``failed`` or ``skipped``: see ``phase.status``.

        Told once for each phase that began. One that was skipped without having begun is
        told too; its ``attempt`` is 0.
        """

    def run_ended(self, state: PipelineState) -> None:
        """Nothing more happens in this run; ``state`` is its last.

        Told of every run that was told to begin, whether it completed, failed or was
        cancelled; not when a second Ctrl-C leaves handlers running behind.
        """


ObserverFactory: TypeAlias = "Callable[[Pipeline], PipelineObserver | None]"
"""What an entry point of ``milo.observers`` points to."""


def moment(action: Action) -> float:
    """When ``action`` happened, in monotonic seconds.

    >>> moment(actions.phase_start("parse", 1, at=12.5))
    12.5
    """
    payload = action.payload
    if isinstance(payload, Mapping):
        return float(payload.get("at", payload.get("timestamp", 0.0)))
    return float(payload or 0.0)


class Observers:
    """The observers of one run: those given, then those of installed plugins.

    False when there is none; then nothing has to be told. ``on_event`` is called from one
    thread at a time, ``close`` after the last event.

    Args:
        pipeline: what is run.
        observers: those given to ``Pipeline.run``.
        group: where to look for plugins; among what is installed by default. One that is
            broken is logged as an error, once per process, and left out.

    Raises:
        TypeError: one of ``observers`` is no ``PipelineObserver``.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        observers: Iterable[PipelineObserver] = (),
        *,
        group: PluginGroup | None = None,
    ) -> None:
        given = tuple(map(_checked, observers))
        found = _of_plugins(pipeline, plugin_group(OBSERVERS_GROUP) if group is None else group)
        self._guarded = tuple(map(_Guarded, (*given, *found)))
        self._index = pipeline.plan.index
        self._has_begun = False
        self._underway: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._guarded)

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Tell what ``action`` stands for; actions that are not a pipeline's are not told."""
        if not self._guarded:
            return
        if action.type in _PHASE_EVENTS:
            self._tell_of_phase(action, state)
        elif action.type == actions.PIPELINE_START:
            self._has_begun = True
            self._tell(lambda observer: observer.run_started(state, action))
        elif action.type == actions.PIPELINE_CANCELLED:
            for name in sorted(self._underway, key=self._index.__getitem__):
                self._tell_ended(name, state, action)  # no action of its own says so

    def close(self, state: PipelineState) -> None:
        """Tell that the run has ended, if it had begun. Nothing is told any more after that."""
        if self._has_begun:
            self._tell(lambda observer: observer.run_ended(state))
        self._guarded = ()

    def _tell_of_phase(self, action: Action, state: PipelineState) -> None:
        name = action.payload["name"]
        if action.type in _ENDS:
            self._tell_ended(name, state, action)
            return
        phase = self._phase(name, state)
        if action.type == actions.PHASE_START:
            self._underway.add(name)
            self._tell(lambda observer: observer.phase_started(phase, state, action))
        elif action.type == actions.PHASE_RETRY:
            self._tell(lambda observer: observer.phase_retrying(phase, state, action))
        else:
            facts = action.payload
            line = PhaseLog(facts["line"], facts["stream"], facts["timestamp"])
            self._tell(lambda observer: observer.phase_logged(phase, line, state, action))

    def _tell_ended(self, name: str, state: PipelineState, action: Action) -> None:
        self._underway.discard(name)
        phase = self._phase(name, state)
        self._tell(lambda observer: observer.phase_ended(phase, state, action))

    def _phase(self, name: str, state: PipelineState) -> PhaseStatus:
        """At the same cost in a pipeline of 10 phases and of 10,000."""
        return state._phase_at(self._index[name])

    def _tell(self, event: Callable[[PipelineObserver], None]) -> None:
        for each in self._guarded:
            each.tell(event)


class _Guarded:
    """An observer whose errors end here."""

    def __init__(self, observer: PipelineObserver) -> None:
        self._observer = observer
        self._has_failed = False

    def tell(self, event: Callable[[PipelineObserver], None]) -> None:
        try:
            event(self._observer)
        except BaseException as error:  # foreign code; not even sys.exit() in it ends the run
            level = DEBUG if self._has_failed else ERROR
            self._has_failed = True
            _log.log(
                level,
                "the observer %s raised and the run goes on; its next errors are logged as DEBUG",
                type(self._observer).__qualname__,
                exc_info=error,
            )


_ENDS: Final = frozenset({actions.PHASE_COMPLETE, actions.PHASE_FAILED, actions.PHASE_SKIPPED})
_PHASE_EVENTS: Final = _ENDS | {actions.PHASE_START, actions.PHASE_RETRY, actions.PHASE_LOG}

_reported: set[PluginError] = set()
"""The broken plugins that were logged; a group raises the same error each time."""


def _checked(observer: PipelineObserver) -> PipelineObserver:
    if isinstance(observer, PipelineObserver):
        return observer
    hint = "; make one: MyObserver()" if isinstance(observer, type) else ""
    raise TypeError(
        f"an observer is an object of a subclass of PipelineObserver, was given "
        f"{observer!r:.200}{hint}"
    )


def _of_plugins(pipeline: Pipeline, group: PluginGroup) -> Iterator[PipelineObserver]:
    for name in group.names():
        try:
            factory = _factory(name, group)
        except PluginError as broken:
            if broken not in _reported:
                _reported.add(broken)
                _log.error("%s; runs go on without it", broken, exc_info=broken.__cause__)
        else:
            observer = _made(name, group, factory, pipeline)
            if observer is not None:
                yield observer


def _factory(name: str, group: PluginGroup) -> Callable[[Pipeline], Any]:
    factory: Callable[[Pipeline], Any] = group.load(name)
    if not callable(factory):
        raise group.refuse(name, "a callable that takes a Pipeline and makes an observer", factory)
    return factory


def _made(
    name: str, group: PluginGroup, factory: Callable[[Pipeline], Any], pipeline: Pipeline
) -> PipelineObserver | None:
    try:
        observer = factory(pipeline)
        return None if observer is None else _checked(observer)
    except (Exception, SystemExit):  # foreign code; it may do better at the next run
        _log.exception(
            "plugin %r of %s (from %s) made no observer; this run goes on without it",
            name,
            group.group,
            group.distribution(name),
        )
        return None
