"""What a saga is: steps in order, what each gets, and what happens when one fails."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from milo_durable._json import check_json
from milo_durable.errors import SagaDefinitionError
from milo_durable.events import OnTimeout
from milo_durable.retry import LONGEST, NoRetry, RetryPolicy
from milo_durable.steps import BaseStep, StepTypes, can_be_undone, recorders_of

_STEP_ID = re.compile(r"[\w.-]+")
MAX_CRASHES = 10
"""How many workers in a row may die at a step, unless it says otherwise."""
LONGEST_TEXT = 255
"""How long the texts may be that have a column of their own."""


@dataclass(frozen=True, slots=True)
class InputContext:
    """What a root step's ``input_map`` is given: how the saga began, and what came from outside.

    ``latest_event`` is the payload of the event accepted last, ``None`` before any, and
    ``latest_event_meta`` its id, type and correlation id; ``events`` holds all of them.
    ``event`` is the payload of the latest event that this very step has accepted: ``None``
    says that it has not waited yet.
    """

    saga_id: UUID
    aggregation_id: str
    initial_data: Mapping[str, Any]
    latest_event: Mapping[str, Any] | None = None
    latest_event_meta: Mapping[str, Any] | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    event: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StepRef:
    """A step that was added to a builder, for others to depend on."""

    step_id: str
    index: int


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One step of a definition; ``depends_on`` are indexes of steps before it."""

    step_id: str
    step: BaseStep[Any, Any]
    input_map: Callable[..., Any]
    depends_on: tuple[int, ...]
    timeout: timedelta | None
    retry_policy: RetryPolicy
    types: StepTypes
    undoes: bool
    wants_context: bool = False
    recorders: tuple[str, ...] = ()
    on_timeout: OnTimeout = OnTimeout.STOP
    max_crashes: int | None = MAX_CRASHES

    @property
    def name(self) -> str:
        """The name of the step's class."""
        return type(self.step).__name__


@dataclass(frozen=True, slots=True)
class SagaDefinition:
    """The steps of a saga, made by ``SagaBuilder.build``. Never changed: make another version."""

    steps: tuple[StepDefinition, ...]
    version: int = 1
    compensate_on_failure: bool = True
    is_chain: bool = True
    """Whether there is never more than one step in flight."""

    def index_of(self, step_id: str) -> int:
        """Where a step stands. Raises: SagaDefinitionError: there is none of this id."""
        for index, step in enumerate(self.steps):
            if step.step_id == step_id:
                return index
        known = ", ".join(step.step_id for step in self.steps)
        raise SagaDefinitionError(f"the saga has no step {step_id!r:.200}; its steps are {known}")


class SagaBuilder:
    """Collects steps; each may depend on those added before it.

    >>> from milo_durable import BaseStep
    >>> class Double(BaseStep[int, int]):
    ...     async def execute(self, inp: int) -> int:
    ...         return 2 * inp
    >>> builder = SagaBuilder()
    >>> first = builder.add_step(step=Double(), input_map=lambda ctx: ctx.initial_data["n"])
    >>> builder.add_step(step=Double(), depends_on=first, input_map=lambda n: n + 1)
    StepRef(step_id='step_1', index=1)
    >>> len(builder.build().steps)
    2
    """

    def __init__(self) -> None:
        self._steps: list[StepDefinition] = []
        self._refs: list[StepRef] = []

    def add_step(
        self,
        step: BaseStep[Any, Any],
        input_map: Callable[..., Any],
        depends_on: StepRef | Iterable[StepRef] | None = None,
        timeout: timedelta | None = None,
        retry_policy: RetryPolicy | None = None,
        *,
        step_id: str | None = None,
        on_timeout: OnTimeout | str = OnTimeout.STOP,
        max_crashes: int | None = MAX_CRASHES,
    ) -> StepRef:
        """Add a step and return what others name it by.

        ``input_map`` makes the step's input: of the ``InputContext`` for a root step, of the
        output of what it depends on otherwise, one argument for each, in order; it is given
        the context as well if it takes a keyword ``ctx``, as ``lambda out, *, ctx: ...`` does.
        A step runs as soon as what it depends on has completed, beside others. An execution
        that takes longer than ``timeout`` has failed. ``step_id`` stands in the history,
        ``step_{i}`` by default. ``on_timeout`` says what happens when an event that the step
        waits for does not come in time: ``"stop"``, ``"retry"``, ``"compensate"`` or ``"fail"``,
        see ``OnTimeout``.

        An execution whose process has died is no failure, and begins again. When that has
        happened ``max_crashes`` times in a row the saga is suspended, with an error that says
        so, until an operator decides; with ``None`` it never is. The same holds for undoing.

        Raises:
            SagaDefinitionError: an argument that cannot be meant; the message names it.
        """
        index = len(self._steps)
        name = f"step_{index}" if step_id is None else step_id
        self._refuse_bad(name, step, input_map, timeout)
        policy = NoRetry() if retry_policy is None else retry_policy
        if isinstance(policy, type) or not callable(getattr(policy, "next_delay", None)):
            raise SagaDefinitionError(
                f"{name}: retry_policy must have a next_delay, as FixedRetry(3) has, not {policy!r}"
            )
        _check_max_crashes(name, max_crashes)
        choice = _on_timeout(name, on_timeout)
        if choice is OnTimeout.RETRY and retry_policy is None:
            raise SagaDefinitionError(
                f"{name}: on_timeout='retry' needs a retry_policy that says how often, for "
                "instance FixedRetry(3)"
            )
        definition = StepDefinition(
            step_id=name,
            step=step,
            input_map=input_map,
            depends_on=tuple(self._index_of(name, each) for each in _refs(name, depends_on)),
            timeout=timeout,
            retry_policy=policy,
            types=StepTypes(step),
            undoes=can_be_undone(step),
            wants_context=_wants_context(input_map),
            recorders=recorders_of(step),
            on_timeout=choice,
            max_crashes=max_crashes,
        )
        self._steps.append(definition)
        self._refs.append(StepRef(name, index))
        return self._refs[-1]

    def build(
        self, *, version: int = 1, compensate_on_failure: bool = True, sequential: bool = False
    ) -> SagaDefinition:
        """A definition of the steps so far; later ones do not change it.

        Steps that do not depend on each other run at the same time, unless it is
        ``sequential``: then they run one by one, in the order in which they were added.

        ``version`` tells it from others of the same name: a saga goes on with the one that it
        started with. Without ``compensate_on_failure`` a saga whose step has failed for good
        stays as it is, ``FAILED``.

        Raises:
            SagaDefinitionError: there is no step, or ``version`` is no whole number from 1.
        """
        if not self._steps:
            raise SagaDefinitionError("a saga has at least one step; call add_step first")
        _check_version(version)
        steps = tuple(self._steps)
        return SagaDefinition(
            steps, version, compensate_on_failure, is_chain=sequential or _is_chain(steps)
        )

    def _refuse_bad(self, name: object, step: object, input_map: object, timeout: object) -> None:
        if not isinstance(step, BaseStep):
            hint = "; make one: " + step.__name__ + "()" if isinstance(step, type) else ""
            raise SagaDefinitionError(f"{name}: step must be a BaseStep, not {step!r:.200}{hint}")
        if not callable(input_map):
            raise SagaDefinitionError(f"{name}: input_map must be a function, not {input_map!r}")
        if not isinstance(name, str) or not _STEP_ID.fullmatch(name):
            raise SagaDefinitionError(
                f"step_id {name!r} must be made of letters, digits, '_', '.' and '-'"
            )
        if any(each.step_id == name for each in self._steps):
            raise SagaDefinitionError(f"two steps have the id {name!r}; give one another")
        if timeout is not None:
            check_span(f"{name}: timeout", timeout)

    def _index_of(self, name: str, ref: object) -> int:
        if not isinstance(ref, StepRef):
            raise SagaDefinitionError(
                f"{name}: depends_on takes what add_step returned, not {ref!r:.200}"
            )
        if not any(each is ref for each in self._refs):
            raise SagaDefinitionError(f"{name}: {ref} is of another builder")
        return ref.index


def _refs(name: str, given: object) -> tuple[object, ...]:
    if given is None:
        return ()
    if isinstance(given, StepRef):
        return (given,)
    if not isinstance(given, Iterable) or isinstance(given, str):
        raise SagaDefinitionError(
            f"{name}: depends_on takes what add_step returned, not {given!r:.200}"
        )
    return tuple(given)


def _is_chain(steps: tuple[StepDefinition, ...]) -> bool:
    return all(index - 1 in step.depends_on for index, step in enumerate(steps) if index)


def _wants_context(input_map: Callable[..., Any]) -> bool:
    try:
        parameter = inspect.signature(input_map).parameters.get("ctx")
    except (TypeError, ValueError):  # written in C, and says nothing of what it takes
        return False
    return parameter is not None and parameter.kind is inspect.Parameter.KEYWORD_ONLY


def _on_timeout(name: str, given: Any) -> OnTimeout:
    try:
        return OnTimeout(given)
    except ValueError as cause:
        raise SagaDefinitionError(
            f"{name}: on_timeout must be one of {', '.join(OnTimeout)}, not {given!r:.200}"
        ) from cause


def _check_max_crashes(name: str, given: object) -> None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 1):
        return
    raise SagaDefinitionError(
        f"{name}: max_crashes must be a whole number from 1, or None, not {given!r:.200}"
    )


def _check_version(given: object) -> None:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise SagaDefinitionError(f"version must be a whole number from 1, not {given!r}")


def check_text(what: str, given: object) -> None:
    """Raises: SagaDefinitionError, SagaDataError: it is no text, an empty one or too long."""
    if not isinstance(given, str) or not given.strip():
        raise SagaDefinitionError(f"{what} must be a text that is not empty, not {given!r:.200}")
    check_json(given, what)
    if len(given) > LONGEST_TEXT:
        raise SagaDefinitionError(
            f"{what} must have at most {LONGEST_TEXT} characters, not {len(given)}: {given!r:.50}"
        )


def check_span(what: str, given: object) -> None:
    """Raises: SagaDefinitionError: it is no length of time above 0, or of more than a century."""
    if not isinstance(given, timedelta) or not timedelta(0) < given <= LONGEST:
        raise SagaDefinitionError(
            f"{what} must be a timedelta above 0 and of at most {LONGEST.days} days, not "
            f"{given!r}; for instance timedelta(seconds=30)"
        )
