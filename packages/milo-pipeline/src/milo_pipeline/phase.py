"""One step of a pipeline, as it is written down: a name, a handler, what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Any, Final

from milo_pipeline._checks import refuse_unless, refuse_unless_count, refuse_unless_name
from milo_pipeline.errors import DefinitionError
from milo_pipeline.policy import PhasePolicy

STOP_ON_FAILURE: Final = PhasePolicy()


@dataclass(frozen=True, slots=True)
class Phase:
    """A named pipeline phase.

    ``handler`` does the work when every phase of ``depends_on`` has completed or was
    skipped. ``parallel`` phases share the time with each other, any other runs alone.
    ``weight`` is this phase's part of the pipeline's progress; of the captured output
    the last ``max_logs`` lines are kept.

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

    def __post_init__(self) -> None:
        refuse_unless_name("Phase", self.name)
        owner = f"phase {self.name!r}"
        _refuse_unless_callable(owner, self.handler)
        _refuse_unless_is(owner, "description", self.description, str)
        _refuse_unless_is(owner, "parallel", self.parallel, bool)
        _refuse_unless_policy(owner, self.policy)
        refuse_unless_count(owner, "weight", self.weight)
        refuse_unless_count(owner, "max_logs", self.max_logs)
        object.__setattr__(self, "depends_on", _names(owner, self.depends_on))


def _names(owner: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        raise DefinitionError(
            f'{owner}: depends_on takes names, not one text; write depends_on=("{given}",)'
        )
    if not isinstance(given, Iterable):
        raise DefinitionError(f"{owner}: depends_on takes names of phases, not {given!r}")
    names = [_name(owner, name) for name in given]
    return tuple(sorted(names) if isinstance(given, Set) else dict.fromkeys(names))


def _name(owner: str, given: object) -> str:
    if isinstance(given, str):
        return given
    hint = f'; write "{given.name}"' if isinstance(given, Phase) else ""
    raise DefinitionError(f"{owner}: depends_on takes names of phases, not {given!r}{hint}")


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


def _refuse_unless_policy(owner: str, policy: object) -> None:
    refuse_unless(
        isinstance(policy, PhasePolicy),
        owner,
        f"policy must be a PhasePolicy, not {policy!r}; for instance PhasePolicy(on_fail='skip')",
    )
