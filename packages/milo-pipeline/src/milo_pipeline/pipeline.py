"""The pipeline as it is written down, and the three things it becomes: reducer, saga, run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from milo_core import Action
from milo_pipeline._checks import refuse_unless, refuse_unless_name
from milo_pipeline.caching import DEFAULT_CACHE
from milo_pipeline.errors import DefinitionError
from milo_pipeline.graph import Plan, compile_graph
from milo_pipeline.params import Param, declared
from milo_pipeline.phase import Phase, units
from milo_pipeline.reducer import Reducer, make_reducer
from milo_pipeline.run_plan import PlannedPhase, RunPlan, plan_run, planned_phases
from milo_pipeline.state import PipelineState

if TYPE_CHECKING:
    import threading

    from milo_pipeline._execution import Outcome
    from milo_pipeline._memory import Memory
    from milo_pipeline.observers import PipelineObserver
    from milo_pipeline.result import PipelineResult


@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class Pipeline:
    """Declarative build pipeline that executes through the Store.

    A phase starts the moment its own dependencies are done. The first failed phase fails
    the pipeline: what runs is finished and nothing new starts. ``fail_fast`` also cancels
    what runs, ``keep_going`` lets branches that do not depend on the failure go on.
    ``capture_output`` keeps what handlers print, as the logs of their phases.

    ``params`` declares what a run can be given, ``resources`` how many units there are of
    what phases share: ``resources={"db": 2}`` lets two phases with ``resources={"db": 1}``
    run at the same time.

    Immutable; ``pipeline >> Phase(...)`` is a new pipeline with one phase more.

    Attributes:
        plan: the compiled graph.

    Raises:
        DefinitionError: a name used twice or empty, a dependency that is no phase, options
            that contradict each other, a phase that uses a parameter that is not declared or
            more of a resource than there is.
        CycleError: phases that wait for each other.

    >>> pipeline = Pipeline(
    ...     "build",
    ...     Phase("discover", handler=lambda: ["a.md"]),
    ...     Phase("parse", handler=lambda context: context["discover"], depends_on=("discover",)),
    ... )
    >>> (pipeline >> Phase("check", handler=lambda: None)).execution_order()
    ['check', 'discover', 'parse']
    """

    name: str
    phases: tuple[Phase, ...]
    capture_output: bool
    fail_fast: bool
    keep_going: bool
    params: Mapping[str, Param]
    resources: Mapping[str, int]
    plan: Plan

    def __init__(
        self,
        name: str,
        *phases: Phase,
        capture_output: bool = False,
        fail_fast: bool = False,
        keep_going: bool = False,
        params: Iterable[Param] = (),
        resources: Mapping[str, int] | None = None,
    ) -> None:
        refuse_unless_name("Pipeline", name)
        owner = f"pipeline {name!r}"
        _refuse_unless_phases(owner, phases)
        refuse_unless(
            not (fail_fast and keep_going),
            owner,
            "fail_fast cancels on a failure what keep_going lets run; choose one",
        )
        given: dict[str, Any] = {
            "name": name,
            "phases": phases,
            "capture_output": capture_output,
            "fail_fast": fail_fast,
            "keep_going": keep_going,
            "params": declared(owner, params),
            "resources": units(owner, resources or {}, least=1),
            "plan": compile_graph(phases),
        }
        _refuse_unless_declared(phases, given["params"], given["resources"])
        for field, value in given.items():
            object.__setattr__(self, field, value)

    def __rshift__(self, phase: Phase) -> Pipeline:
        """A new pipeline with ``phase`` appended and the same options."""
        if not isinstance(phase, Phase):
            raise TypeError(f"pipeline >> takes a Phase, not {phase!r}; write >> Phase(name, ...)")
        return Pipeline(
            self.name,
            *self.phases,
            phase,
            capture_output=self.capture_output,
            fail_fast=self.fail_fast,
            keep_going=self.keep_going,
            params=self.params.values(),
            resources=self.resources,
        )

    def __repr__(self) -> str:
        count = len(self.phases)
        return f"<Pipeline {self.name!r}: {count} phase{'' if count == 1 else 's'}>"

    def execution_order(self) -> list[str]:
        """The names in topological order: level by level, sorted within a level."""
        return [self.phases[i].name for i in self.plan.order]

    def build_reducer(self) -> Reducer:
        """A pure reducer for runs of this pipeline; a state of ``None`` is a pending run."""
        return make_reducer(self.plan, self.name)

    def build_saga(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        only: Iterable[str] | None = None,
        start_at: str | None = None,
        skip: Iterable[str] = (),
        keep_going: bool | None = None,
    ) -> Callable[[], Generator[Any, Any, Any]]:
        """A saga that runs every phase when its dependencies are done; each call is one run.

        Handlers with a parameter named ``context`` receive a dict of their dependencies'
        results by name, ``None`` for a skipped one. For the options see ``run``.
        """
        from milo_pipeline._saga import make_saga  # a program that only reduces needs no effects

        plan = plan_run(
            self, params, only=only, start_at=start_at, skip=skip, keep_going=keep_going
        )
        return make_saga(self, plan)

    def run(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        only: Iterable[str] | None = None,
        start_at: str | None = None,
        skip: Iterable[str] = (),
        keep_going: bool | None = None,
        checkpoint: str | PathLike[str] | None = None,
        cache: str | PathLike[str] | bool = True,
        force: bool = False,
        resume_from: PipelineResult | None = None,
        changed: Iterable[str] = (),
        max_workers: int | None = None,
        on_event: Callable[[Action, PipelineState], None] | None = None,
        observers: Iterable[PipelineObserver] = (),
        cancel: threading.Event | None = None,
    ) -> PipelineResult:
        """Run the pipeline to its end and return what came of it; blocks until then.

        A failed phase does not raise: see ``PipelineResult.raise_for_status()``.

        Args:
            params: a value for each parameter that has no default, and for others.
            only: run these phases and what they wait for; others end as skipped.
            start_at: run this phase and what waits for it; others end as skipped.
            skip: phases that end as skipped, so that what waits for them gets ``None``.
            keep_going: in place of the pipeline's own ``keep_going``; ``True`` also takes its
                ``fail_fast`` away.
            checkpoint: a file that remembers which phases are done. A run that was killed, or
                has failed, goes on after them when it is started again with the same file;
                they keep their results. A handler that was killed before its end was written
                down runs again, and so does a phase whose result cannot be written down, or
                that was changed since, with all that waits for them.
            cache: the folder for the results of phases with ``cache=``, by default
                ``.milo/cache``; ``False`` leaves it alone.
            force: run phases although their results are cached, and cache them anew.
            resume_from: an earlier run in this process. Phases that it completed keep their
                results, the very objects, if they are not in ``changed`` and wait for none that
                runs again; so do those whose condition did not hold. What failed, was cancelled
                or was never reached runs. Nothing is compared: parameters, code and what the
                results stand for are the caller's to watch. A checkpoint is only written.
            changed: the phases that ``resume_from`` holds nothing valid of any more.
            max_workers: at most so many handlers run at the same time.
            on_event: called with every action and the state it led to.
            observers: told of the run as those are that plugins bring.
            cancel: stops the run when it is set.

        Raises:
            DefinitionError: the options name a phase or parameter that does not exist, a
                parameter is missing or of the wrong type (``ParameterError``), or a phase's
                executor is not installed or does not take it. Nothing ran.
            CheckpointError, CacheError: a file or folder is damaged, in use, or not ours. It
                is as it was, and nothing ran.
        """
        from milo_pipeline._run import run_pipeline

        if resume_from is None and changed:
            raise DefinitionError(
                "changed names phases that a run is not to keep of resume_from, which was not "
                "given; add resume_from=<the result of that run>, or leave out changed"
            )
        plan = plan_run(
            self, params, only=only, start_at=start_at, skip=skip, keep_going=keep_going
        )
        kept = None if resume_from is None else self._kept(resume_from, plan, changed)
        return run_pipeline(
            self,
            plan,
            memory=self._memory(plan, checkpoint, cache, kept, force=force),
            max_workers=max_workers,
            on_event=on_event,
            cancel=cancel,
            observers=observers,
        )

    def _memory(
        self,
        plan: RunPlan,
        checkpoint: str | PathLike[str] | None,
        cache: str | PathLike[str] | bool,
        kept: Mapping[int, Outcome] | None,
        *,
        force: bool,
    ) -> Callable[[], Memory] | None:
        """What opens the run's memory; ``None``, and nothing is imported, if it has none."""
        folder = DEFAULT_CACHE if cache is True else cache
        caches = folder is not False and any(phase.cache is not None for phase in self.phases)
        if checkpoint is None and not caches and not kept:
            return None
        from milo_pipeline._memory import Memory

        return lambda: Memory(
            self,
            plan,
            checkpoint=None if checkpoint is None else fspath(checkpoint),
            cache=fspath(folder) if caches and not isinstance(folder, bool) else None,
            force=force,
            kept=kept,
        )

    def _kept(
        self, previous: PipelineResult, plan: RunPlan, changed: Iterable[str]
    ) -> dict[int, Outcome]:
        from milo_pipeline._resuming import kept_from

        return kept_from(previous, self, plan, changed)

    def dry_run(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        only: Iterable[str] | None = None,
        start_at: str | None = None,
        skip: Iterable[str] = (),
    ) -> list[PlannedPhase]:
        """What ``run`` with these options would do with each phase, in execution order.

        Nothing runs, no condition is asked. Raises what ``run`` would.
        """
        plan = plan_run(self, params, only=only, start_at=start_at, skip=skip)
        return planned_phases(self, plan)


def _refuse_unless_declared(
    phases: tuple[Phase, ...], params: Mapping[str, Param], resources: Mapping[str, int]
) -> None:
    for phase in phases:
        owner = f"phase {phase.name!r}"
        for name in phase.params:
            refuse_unless(
                name in params,
                owner,
                f"uses the parameter {name!r}, which its pipeline does not declare; "
                f"write Pipeline(..., params=(Param({name!r}),))",
            )
        for name, count in phase.resources.items():
            there = resources.get(name, 0)
            refuse_unless(
                count <= there,
                owner,
                f"needs {count} of resource {name!r}, of which its pipeline has {there}; "
                f"write Pipeline(..., resources={{{name!r}: {count}}})",
            )


def _refuse_unless_phases(owner: str, phases: tuple[object, ...]) -> None:
    for given in phases:
        if isinstance(given, Phase):
            continue
        hint = "; write *phases to spread them" if isinstance(given, list | tuple) else ""
        raise DefinitionError(f"{owner}: takes Phase objects behind its name, not {given!r}{hint}")
