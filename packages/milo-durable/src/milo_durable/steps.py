"""Steps: what a saga does, and how it is undone."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from milo_durable._json import check_json
from milo_durable.errors import SagaDataError, SagaDefinitionError
from milo_durable.events import StepAwaitEvent

In = TypeVar("In")
Out = TypeVar("Out")


class BaseStep(ABC, Generic[In, Out]):
    """One step of a saga; an object of it is made once and used by many sagas at the same time.

    ``execute`` and ``compensate`` may be plain functions; these run on a thread. A step is run
    again after a crash, so what it does outside the database has to be safe to do twice. What it
    writes to tables in ``record`` and ``record_undo`` is there exactly once.
    """

    @abstractmethod
    def execute(self, inp: In) -> Out | StepAwaitEvent | Awaitable[Out | StepAwaitEvent]:
        """Do it, and return what there is to say of it; or wait for an event."""

    def compensate(self, inp: In, out: Out) -> Awaitable[None] | None:
        """Undo it, given the input and output of its last success. Optional."""
        return None

    async def record(self, session: AsyncSession, inp: In, out: Out) -> None:
        """Write to the application's tables what came of ``execute``. Optional.

        It is called after ``execute`` has returned ``out``, in the transaction that records the
        step as done: both are stored, or neither is. ``session`` is one of the application's
        own; what it is given is written and committed afterwards, so ``record`` must neither
        commit nor roll back. The saga's row is locked meanwhile, on SQLite the whole database:
        what takes long belongs into ``execute``.

        An error here, or one of the database's, is a failure of the step: nothing of this is
        stored, and ``execute`` is called again if its retry policy says so. The step's timeout
        holds for ``execute`` and for ``record`` each. A step that an operator skips, or that
        waits for an event, records nothing.
        """

    async def record_undo(self, session: AsyncSession, inp: In, out: Out) -> None:
        """Take back what ``record`` wrote, in the transaction that records the step as undone.

        Optional. As ``record``, but called after ``compensate``.
        """


class StepTypes:
    """The input and output types of a step, and the way to JSON and back."""

    def __init__(self, step: BaseStep[Any, Any]) -> None:
        self.name = type(step).__name__
        try:
            given, returned = _types_of(type(step))
            self._input: TypeAdapter[Any] = TypeAdapter(given)
            self._output: TypeAdapter[Any] = TypeAdapter(returned)
        except (PydanticUserError, NameError) as cause:
            raise SagaDefinitionError(
                f"{self.name}: what it takes and returns must be types that Pydantic knows: {cause}"
            ) from cause
        self._takes = given

    def input_of(self, value: object) -> Any:
        """What the step is given for it. Raises: SagaDataError: it is no input of this step."""
        takes = self._takes
        is_model = inspect.isclass(takes) and issubclass(takes, BaseModel)
        if is_model and not isinstance(value, takes):
            raise SagaDataError(
                f"the input_map of {self.name} gave {value!r:.200}, which is no {takes.__name__}"
            )
        return _validated(self._input, value, f"what the input_map of {self.name} gave")

    def input_to_json(self, value: object) -> Any:
        """Raises: SagaDataError: JSON cannot hold it."""
        return _to_json(self._input, value, f"the input of {self.name}")

    def output_to_json(self, value: object) -> Any:
        """Raises: SagaDataError: it is no output of this step."""
        what = f"the output of {self.name}"
        return _to_json(self._output, _validated(self._output, value, what), what)

    def input_from_json(self, value: Any) -> Any:
        """Raises: SagaDataError: the step's model has changed and no longer takes it."""
        return _validated(self._input, value, f"the stored input of {self.name}")

    def output_from_json(self, value: Any) -> Any:
        """Raises: SagaDataError: the step's model has changed and no longer takes it."""
        return _validated(self._output, value, f"the stored output of {self.name}")


def can_be_undone(step: BaseStep[Any, Any]) -> bool:
    """Whether the step has a ``compensate`` or a ``record_undo`` of its own."""
    kind = type(step)
    has_own = kind.compensate is not BaseStep.compensate
    return has_own or kind.record_undo is not BaseStep.record_undo


def recorders_of(step: BaseStep[Any, Any]) -> tuple[str, ...]:
    """Which of ``record`` and ``record_undo`` the step has of its own.

    Raises:
        SagaDefinitionError: one of them is a plain function, which could not use its session.
    """
    names = ("record", "record_undo")
    own = tuple(each for each in names if getattr(type(step), each) is not getattr(BaseStep, each))
    for name in own:
        if not inspect.iscoroutinefunction(getattr(step, name)):
            raise SagaDefinitionError(
                f"{type(step).__name__}: {name} must be async def {name}(self, session, inp, out)"
            )
    return own


def _types_of(kind: type) -> tuple[Any, Any]:
    """The arguments of ``BaseStep[In, Out]`` where it is subclassed, else those of ``execute``."""
    arguments = _arguments_of(kind, {})
    if arguments and not any(isinstance(each, TypeVar) for each in arguments):
        return arguments[0], _without_waiting(arguments[1])
    execute: Any = kind.execute  # type: ignore[attr-defined]  # every step has it
    hints = get_type_hints(execute)
    names = list(inspect.signature(execute).parameters)[1:]
    taken = hints.get(names[0], Any) if names else Any
    return taken, _without_waiting(hints.get("return", Any))


def _arguments_of(kind: Any, known: dict[Any, Any]) -> tuple[Any, ...]:
    """Those of ``BaseStep`` below ``kind``, whose own type variables stand for ``known``."""
    for base in kind.__dict__.get("__orig_bases__", kind.__bases__):
        origin = get_origin(base) or base
        if not (inspect.isclass(origin) and issubclass(origin, BaseStep)):
            continue
        given = tuple(known.get(each, each) for each in get_args(base))
        if origin is BaseStep:
            return given
        variables = getattr(origin, "__parameters__", ())
        return _arguments_of(origin, dict(zip(variables, given, strict=False)))
    return ()


def _without_waiting(returned: Any) -> Any:
    kinds = [each for each in get_args(returned) if each is not StepAwaitEvent]
    if StepAwaitEvent not in get_args(returned) or not kinds:
        return returned
    whole = kinds[0]
    for each in kinds[1:]:
        whole = whole | each
    return whole


def _validated(adapter: TypeAdapter[Any], value: object, what: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as cause:
        raise SagaDataError(f"{what} is not what its model takes: {cause}") from cause


def _to_json(adapter: TypeAdapter[Any], value: object, what: str) -> Any:
    try:
        data = adapter.dump_python(value, mode="json")
    except (ValueError, TypeError) as cause:
        raise SagaDataError(f"{what} cannot be stored as JSON: {cause}") from cause
    return check_json(data, what)
