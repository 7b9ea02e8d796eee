"""One step of a pipeline, as it is written down: a name, a handler, what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final

from milo_pipeline._checks import (
    is_seconds,
    refuse_unless,
    refuse_unless_count,
    refuse_unless_name,
)
from milo_pipeline.caching import Cache
from milo_pipeline.errors import DefinitionError
from milo_pipeline.executors.executor import THREAD, Executor
from milo_pipeline.policy import PhasePolicy

STOP_ON_FAILURE: Final = PhasePolicy()


@dataclass(frozen=True, slots=True)
class Phase:
    """A named pipeline phase.

    ``handler`` does the work when every phase of ``depends_on`` has completed or was
    skipped. ``parallel`` phases share the time with each other, any other runs alone.
    ``weight`` is this phase's part of the pipeline's progress; of the captured output
    the last ``max_logs`` lines are kept.

    An attempt that takes longer than ``timeout`` seconds fails with ``PhaseTimeout``. An
    async handler is cancelled then; a plain one cannot be, so it is left behind: it runs on,
    on a thread that nothing waits for, and what it returns is dropped.

    ``when`` is asked before the first attempt, with the same ``context`` a handler gets if
    it has a parameter for it; on a false answer the phase ends as skipped. ``params`` names
    the pipeline's parameters that the handler is called with. ``resources`` says how many
    units of the pipeline's ``resources`` the phase holds while it runs; until they are free
    it waits, and phases that need none of these go ahead.

    ``map_over`` names the dependency whose result is a list: the handler is called once for
    each of its items, with the parameter ``item``, and the list of what it returned is the
    phase's result. Items run beside each other and each has its own status, attempts and
    ``timeout``; one that fails for good fails the phase, and none begins after that.

    With ``cache`` the phase does not run, but gives the result of an earlier run, while its
    code, parameters, inputs and what it depends on are those of then.

    ``executor`` says where the handler is called: on a thread of the run, or with
    ``"process"`` in a process of its own, which really ends at its ``timeout``. It is the name
    of a plugin or an ``Executor``; see ``milo_pipeline.executors``. ``when`` is asked here.

    With ``capture_fds`` the captured output is also what C code and child processes write to
    the file descriptors 1 and 2. A process has one pair of them, so the phase has to run alone;
    in a process of its own they are captured anyway.

    ``depends_on`` takes any iterable of names and holds a tuple without repeats (in
    sorted order when given a set, whose own order changes from process to process).

    Raises:
        DefinitionError: a field that cannot be meant, naming the phase and the field.

    >>> Phase("parse", handler=print, depends_on=["discover"]).depends_on
    ('discover',)
    """

    name: str
    handler: Callable[..., Any]
    description: str = ""
    depends_on: tuple[str, ...] = ()
    parallel: bool = False
    weight: int = 1
    policy: PhasePolicy = STOP_ON_FAILURE
    max_logs: int = 200
    _: KW_ONLY
    timeout: float | None = None
    when: Callable[..., Any] | None = None
    params: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict, hash=False)
    map_over: str | None = None
    cache: Cache | None = None
    executor: str | Executor = THREAD
    capture_fds: bool = False

    def __post_init__(self) -> None:
        refuse_unless_name("Phase", self.name)
        owner = f"phase {self.name!r}"
        _refuse_unless_callable(owner, self.handler)
        _refuse_unless_is(owner, "description", self.description, str)
        _refuse_unless_is(owner, "parallel", self.parallel, bool)
        _refuse_unless_policy(owner, self.policy)
        refuse_unless_count(owner, "weight", self.weight)
        refuse_unless_count(owner, "max_logs", self.max_logs)
        _refuse_unless_times(owner, self.timeout)
        refuse_unless(
            self.when is None or callable(self.when),
            owner,
            f"when must be a function of the context, not {self.when!r}",
        )
        object.__setattr__(self, "depends_on", _names(owner, "depends_on", self.depends_on))
        refuse_unless(
            self.map_over is None or self.map_over in self.depends_on,
            owner,
            f"map_over must be one of its depends_on, whose result is the list, "
            f"not {self.map_over!r}",
        )
        refuse_unless(
            self.cache is None or isinstance(self.cache, Cache),
            owner,
            f"cache must be a Cache, not {self.cache!r}; for instance Cache(inputs=['src'])",
        )
        _refuse_unless_executor(owner, self.executor)
        _refuse_unless_is(owner, "capture_fds", self.capture_fds, bool)
        refuse_unless(
            not (self.capture_fds and (self.parallel or self.map_over is not None)),
            owner,
            "capture_fds takes the file descriptors of the whole process, so the phase must run "
            "alone: without parallel and map_over; or use executor='process', which captures "
            "them for each phase",
        )
        object.__setattr__(self, "params", _names(owner, "params", self.params))
        object.__setattr__(self, "resources", units(owner, self.resources, least=0))


def units(owner: str, given: object, *, least: int) -> dict[str, int]:
    """How many units ``given`` says there are of each resource; a dict of its own."""
    if not isinstance(given, Mapping):
        raise DefinitionError(f"{owner}: resources must be a mapping such as {{'db': 1}}")
    for name, count in given.items():
        refuse_unless_name(f"{owner}, resources", name)
        whole = isinstance(count, int) and not isinstance(count, bool) and count >= least
        refuse_unless(
            whole, owner, f"resources[{name!r}] must be a whole number from {least}, not {count!r}"
        )
    return dict(given)


def _refuse_unless_times(owner: str, timeout: object) -> None:
    refuse_unless(
        timeout is None or (is_seconds(timeout) and timeout != 0),
        owner,
        f"timeout must be a number of seconds above 0, or None, not {timeout!r}",
    )


def _names(owner: str, option: str, given: object) -> tuple[str, ...]:
    of_what = "phases" if option == "depends_on" else "parameters"
    if isinstance(given, str):
        raise DefinitionError(
            f'{owner}: {option} takes names, not one text; write {option}=("{given}",)'
        )
    if not isinstance(given, Iterable):
        raise DefinitionError(f"{owner}: {option} takes names of {of_what}, not {given!r}")
    names = [_name(owner, option, of_what, name) for name in given]
    return tuple(sorted(names) if isinstance(given, Set) else dict.fromkeys(names))


def _name(owner: str, option: str, of_what: str, given: object) -> str:
    if isinstance(given, str):
        return given
    name = getattr(given, "name", None)
    hint = f'; write "{name}"' if isinstance(name, str) else ""
    raise DefinitionError(f"{owner}: {option} takes names of {of_what}, not {given!r}{hint}")


def _refuse_unless_callable(owner: str, handler: object) -> None:
    refuse_unless(
        callable(handler),
        owner,
        f"handler must be something to call, not {handler!r}; "
        "give the function itself, without parentheses behind it",
    )


def _refuse_unless_is(owner: str, field: str, value: object, kind: type) -> None:
    refuse_unless(
        isinstance(value, kind), owner, f"{field} must be a {kind.__name__}, not {value!r}"
    )


def _refuse_unless_executor(owner: str, executor: object) -> None:
    fits = isinstance(executor, Executor) or (isinstance(executor, str) and executor.strip() != "")
    hint = "; make one: " + executor.__name__ + "()" if isinstance(executor, type) else ""
    refuse_unless(
        fits,
        owner,
        f'executor must be a name such as "process", or an Executor, not {executor!r}{hint}',
    )


def _refuse_unless_policy(owner: str, policy: object) -> None:
    refuse_unless(
        isinstance(policy, PhasePolicy),
        owner,
        f"policy must be a PhasePolicy, not {policy!r}; for instance PhasePolicy(on_fail='skip')",
    )
