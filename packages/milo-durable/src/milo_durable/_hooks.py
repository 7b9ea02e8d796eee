"""Calling hooks: which of them a commit is told to, and that none does any harm."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

from milo_durable._deciding.transition import COMPENSATE, EXECUTE, Transition
from milo_durable._json import check_json
from milo_durable.definition import SagaDefinition
from milo_durable.errors import SagaDataError, SagaDefinitionError
from milo_durable.events import NotifyEvent
from milo_durable.hooks import SagaHooks, StepEvent
from milo_durable.snapshot import SagaSnapshot
from milo_durable.status import TERMINAL, WORKING, SagaStatus

_log = logging.getLogger(__name__)

_NAMES: Final = tuple(name for name in vars(SagaHooks) if not name.startswith("_"))
_BEGUN: Final = {EXECUTE: "step_started", COMPENSATE: "compensation_started"}
_CAME: Final = {
    (EXECUTE, "SUCCESS"): "step_succeeded",
    (EXECUTE, "WAITING"): "step_waiting",
    (EXECUTE, "ERROR"): "step_failed",
    (EXECUTE, "TIMEOUT"): "step_failed",
    (COMPENSATE, "SUCCESS"): "compensation_succeeded",
    (COMPENSATE, "ERROR"): "compensation_failed",
    (COMPENSATE, "TIMEOUT"): "compensation_failed",
}
_ENDED: Final = (*TERMINAL, SagaStatus.TIMEOUT)
_WAITS_FOR_AN_ATTEMPT: Final = {
    EXECUTE: SagaStatus.SUSPENDED,
    COMPENSATE: SagaStatus.COMPENSATING_SUSPENDED,
}


class HookCalls:
    """The hooks of an orchestrator, called one after the other, in the order they were given."""

    def __init__(self, hooks: Sequence[SagaHooks]) -> None:
        """Raises: SagaDefinitionError: they are no hooks."""
        if isinstance(hooks, SagaHooks) or not isinstance(hooks, Sequence):
            raise SagaDefinitionError(f"hooks must be a list of SagaHooks, not {hooks!r:.200}")
        for each in hooks:
            if not isinstance(each, SagaHooks):
                hint = f"; make one: {each.__name__}()" if isinstance(each, type) else ""
                raise SagaDefinitionError(f"{each!r:.200} is no SagaHooks object{hint}")
        self._of = {name: _overriding(name, hooks) for name in _NAMES}

    def headers(self, saga_name: str, aggregation_id: str) -> dict[str, dict[str, str]]:
        """What the context of a new saga holds of the hooks' headers, if they have any."""
        headers: dict[str, str] = {}
        for hook in self._of["headers"]:
            try:
                headers |= _checked(hook(saga_name, aggregation_id))
            except Exception:  # the hook's; the saga starts without
                _log.exception("the headers of %r are left out: it failed", hook)
        return {"headers": headers} if headers else {}

    @asynccontextmanager
    async def around(self, saga: SagaSnapshot, definition: SagaDefinition) -> AsyncIterator[None]:
        """The block in which the current step is run, and what came of it is told."""
        step = definition.steps[saga.current_step_index]
        phase = COMPENSATE if saga.status == SagaStatus.COMPENSATING else EXECUTE
        begun = StepEvent(saga, step.step_id, step.name, phase, saga.retry_count + 1)
        with ExitStack() as stack:
            for hook in self._of["around_step"]:
                stack.enter_context(_harmless(hook, begun))
            await self._tell(_BEGUN[phase], saga, begun)
            yield

    async def started(self, saga: SagaSnapshot) -> None:
        """Tell of a new saga."""
        await self._tell("saga_started", saga, saga)

    async def moved(
        self, before: SagaSnapshot, after: SagaSnapshot, by: Transition, *, resumes: bool
    ) -> None:
        """Tell what was committed: the step's outcome first, then what it means for the saga.

        ``resumes`` is whether that may have set it going, from outside.
        """
        if by.entry is not None:
            name = _CAME[by.entry["phase"], by.entry["status"]]
            await self._tell(name, after, _outcome(after, by.entry))
        if after.status in _ENDED:
            await self._tell("saga_ended", after, after)
        elif len(_events(after)) > len(_events(before)):
            await self._tell("event_accepted", after, after, NotifyEvent(**_latest(after)))
        elif resumes and by.entry is None and after.status in WORKING:
            await self._tell("saga_resumed", after, after)

    async def _tell(self, name: str, saga: SagaSnapshot, *facts: object) -> None:
        for hook in self._of[name]:
            try:
                told = hook(*facts)
                if inspect.isawaitable(told):
                    await told
            except Exception:  # the hook's; what it was told of has happened anyway
                extra = {"milo_saga_id": str(saga.id)}
                _log.exception("%r failed for saga %s", hook, saga.id, extra=extra)


def _overriding(name: str, hooks: Sequence[SagaHooks]) -> list[Callable[..., Any]]:
    """The methods of this name that do something."""
    nothing = getattr(SagaHooks, name)
    methods = [getattr(each, name) for each in hooks]
    return [each for each in methods if getattr(each, "__func__", None) is not nothing]


def _outcome(saga: SagaSnapshot, entry: Mapping[str, Any]) -> StepEvent:
    place = saga.branches.get(entry["step_id"], saga)
    waits = place.status == _WAITS_FOR_AN_ATTEMPT[entry["phase"]]
    is_tried_again = entry["error"] is not None and waits
    return StepEvent(
        saga=saga,
        step_id=entry["step_id"],
        step_name=entry["step_name"],
        phase=entry["phase"],
        attempt=entry["attempt"],
        status=entry["status"],
        output=entry["output"],
        error=entry["error"],
        retry_at=place.deadline_at if is_tried_again else None,
        skipped=entry["skipped"],
    )


def _events(saga: SagaSnapshot) -> Sequence[Mapping[str, Any]]:
    events: Sequence[Mapping[str, Any]] = saga.context.get("events", ())
    return events


def _latest(saga: SagaSnapshot) -> dict[str, Any]:
    latest = _events(saga)[-1]
    return {name: latest[name] for name in ("payload", "event_id", "event_type", "correlation_id")}


def _checked(headers: object) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise SagaDataError(f"headers must be a mapping of texts, not {headers!r:.200}")
    for pair in headers.items():
        if not all(isinstance(each, str) for each in pair):
            raise SagaDataError(f"headers must be texts, not {pair!r:.200}")
    checked: dict[str, str] = check_json(dict(headers), "headers")
    return checked


@contextmanager
def _harmless(around: Callable[[StepEvent], Any], step: StepEvent) -> Iterator[None]:
    """The block of one hook; its own errors are logged, those within it are let through."""
    extra = {"milo_saga_id": str(step.saga.id)}
    try:
        block = around(step)
        block.__enter__()
    except Exception:  # the hook's; the step runs without it
        _log.exception("%r failed for saga %s", around, step.saga.id, extra=extra)
        yield
        return
    raised: BaseException | None = None
    try:
        yield
    except BaseException as error:
        raised = error
        raise
    finally:
        try:
            block.__exit__(type(raised) if raised else None, raised, _traceback(raised))
        except Exception as error:  # the hook's, unless it lets the block's through
            if error is not raised:
                _log.exception("%r failed for saga %s", around, step.saga.id, extra=extra)


def _traceback(error: BaseException | None) -> Any:
    return None if error is None else error.__traceback__
