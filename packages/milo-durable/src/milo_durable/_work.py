"""Running one step: its input, its timeout, the lease that is renewed meanwhile.

On the event loop of whoever drives the saga; a plain function runs on a thread of the loop's.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from milo_durable._deciding.back import input_of_last_success
from milo_durable._deciding.transition import Failed, Outcome, Succeeded, Waits
from milo_durable.definition import InputContext, SagaDefinition, StepDefinition
from milo_durable.errors import SagaDataError
from milo_durable.events import StepAwaitEvent
from milo_durable.snapshot import SagaSnapshot

_log = logging.getLogger(__name__)

GRACE = timedelta(seconds=5)
"""How much later than its timeout a step is taken for dead, so that it can say so itself."""

Renew = Callable[[], Awaitable[bool]]
"""Puts the saga's deadline off; ``False`` when it is somebody else's by now."""


LetGo = Callable[[], Awaitable[None]]
"""Gives back what the driver holds of the pool."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What the driver of a saga does while a step waits: ``renew`` the lease, and ``let_go``.

    It lets go as soon as the step is not done after its first turn of the loop, and before a
    plain function is put on a thread. So no step that waits for a connection waits for the one
    of its own driver.
    """

    lease: timedelta
    renew: Renew
    let_go: LetGo


class LeaseLost(Exception):
    """Another worker has the saga; what this one does with it no longer counts."""


async def execute(
    saga: SagaSnapshot, definition: SagaDefinition, upkeep: Upkeep
) -> tuple[Outcome, Any]:
    """The outcome of the current step, and the input it had, as JSON."""
    step = definition.steps[saga.current_step_index]
    try:
        value, given = given_now(saga, definition)
    except Exception as error:  # the input_map's, or a value it should not have made
        return Failed(told(error), retries=False), None
    outcome = await attempt(step, step.step.execute, (value,), upkeep)
    if isinstance(outcome, Failed):
        return outcome, given
    if isinstance(outcome, StepAwaitEvent):
        return Waits(outcome), given
    try:
        return Succeeded(step.types.output_to_json(outcome)), given
    except SagaDataError as error:
        return Failed(told(error), retries=False), given


async def compensate(
    saga: SagaSnapshot, definition: SagaDefinition, upkeep: Upkeep
) -> tuple[Outcome, Any]:
    """The outcome of undoing the current step, and the input of its last success, as JSON."""
    step = definition.steps[saga.current_step_index]
    given = input_of_last_success(saga, step.step_id)
    try:
        inp = step.types.input_from_json(given)
        out = step.types.output_from_json(saga.outputs[step.step_id])
    except SagaDataError as error:
        return Failed(told(error), retries=False), given
    outcome = await attempt(step, step.step.compensate, (inp, out), upkeep)
    return (outcome if isinstance(outcome, Failed) else Succeeded(None)), given


def given_now(saga: SagaSnapshot, definition: SagaDefinition) -> tuple[Any, Any]:
    """What the current step is given if it runs now, and that as JSON.

    Raises:
        Exception: what the ``input_map`` raised, or SagaDataError for what it returned.
    """
    step = definition.steps[saga.current_step_index]
    value = step.types.input_of(_input(saga, definition, step))
    return value, step.types.input_to_json(value)


def _input(saga: SagaSnapshot, definition: SagaDefinition, step: StepDefinition) -> Any:
    if not step.depends_on:
        return step.input_map(_context(saga, step))
    needed = [definition.steps[index] for index in step.depends_on]
    outputs = [each.types.output_from_json(saga.outputs[each.step_id]) for each in needed]
    if step.wants_context:
        return step.input_map(*outputs, ctx=_context(saga, step))
    return step.input_map(*outputs)


def _context(saga: SagaSnapshot, step: StepDefinition) -> InputContext:
    events = tuple(saga.context.get("events", ()))
    own = [each["payload"] for each in events if each.get("step_id") == step.step_id]
    return InputContext(
        saga_id=saga.id,
        aggregation_id=saga.aggregation_id,
        initial_data=saga.context.get("initial_data", {}),
        latest_event=saga.context.get("latest_event"),
        latest_event_meta=saga.context.get("latest_event_meta"),
        events=events,
        event=own[-1] if own else None,
    )


async def attempt(
    step: StepDefinition,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    upkeep: Upkeep,
) -> Any:
    """What ``function`` returns, or the ``Failed`` that came of it.

    Raises:
        LeaseLost: the saga was taken over meanwhile; the step was cancelled.
        TimeoutError: the database did not renew the lease in time; the same.
    """
    if not inspect.iscoroutinefunction(function):  # a thread waits for no turn of the loop
        await upkeep.let_go()
    work = asyncio.ensure_future(called(function, arguments))
    seconds = None if step.timeout is None else step.timeout.total_seconds()
    limit = asyncio.timeout_at(None if seconds is None else work.get_loop().time() + seconds)
    try:
        await asyncio.sleep(0)
        if not work.done():  # else it waited for nothing, and needs no timers
            async with limit:
                await _finish(work, upkeep)
    except TimeoutError:
        if limit.expired():
            return Failed(f"it did not return within {seconds:g} s", timed_out=True)
        raise  # the renewal's, not the step's
    finally:
        await _let_go(work)
    try:
        return work.result()
    except (Exception, asyncio.CancelledError) as error:  # the step's; its policy says what follows
        _log.debug("step %s raised", step.step_id, exc_info=True)
        return Failed(told(error))


async def called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What an async function returns, or a plain one, which is called on a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    result = await asyncio.to_thread(_on_thread, function, arguments)
    return await result if inspect.isawaitable(result) else result


def _on_thread(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except StopIteration as error:  # no future takes one: it would never be done
        raise RuntimeError("a step raised StopIteration") from error


async def _finish(work: asyncio.Future[Any], upkeep: Upkeep) -> None:
    """Wait for ``work``, and put the deadline off every third of a lease.

    A renewal that fails, as when the database is away for a while, is tried again, four times as
    often, while the lease lasts.
    """
    await upkeep.let_go()
    clock, seconds = asyncio.get_running_loop().time, upkeep.lease.total_seconds()
    lasts = seconds + GRACE.total_seconds() / 2  # the other half is for the step to end in
    ends, pause = clock() + lasts, seconds / 3
    while not (await asyncio.wait({work}, timeout=pause))[0]:
        began = clock()
        try:
            async with asyncio.timeout_at(ends):
                is_held = await upkeep.renew()
        except Exception as error:  # the database's
            pause = seconds / 12
            if clock() + pause > ends:
                raise TimeoutError("the database did not renew a lease in time") from error
            _log.warning("a lease could not be renewed; that is tried again: %r", error)
            continue
        if not is_held:
            raise LeaseLost
        ends, pause = began + lasts, seconds / 3


async def _let_go(work: asyncio.Future[Any]) -> None:
    """Cancel what is not done, and wait until it has cleaned up."""
    if work.done():
        return
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled() and work.exception() is not None:
        _log.debug("a step raised as it was cancelled", exc_info=work.exception())


def told(error: BaseException) -> str:
    """What is kept of an error: in one way or another, and as both databases take it."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as broken:  # the error's own fault; it is still one
        text = f"(its text cannot be had: {type(broken).__name__})"
    text = text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
    return f"{name}: {text}" if text else name
