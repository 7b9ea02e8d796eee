"""Calling a phase's handler: whether it wants its context, and what its errors read like."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import nullcontext
from contextvars import copy_context
from types import CoroutineType, FunctionType, coroutine
from typing import Any, TypeAlias

from milo_capture import CancelToken, cancelled_by
from milo_effects import Call, SagaCancelled
from milo_pipeline._output import Output
from milo_pipeline.executors._installed import called_elsewhere
from milo_pipeline.executors.executor import THREAD
from milo_pipeline.phase import Phase

Context: TypeAlias = dict[str, Any]


class HandlerLeft(Exception):
    """A handler raised its ``__cause__``, which thrown into a saga would end that saga."""


def condition_of(phase: Phase, context: Context) -> Call:
    """The effect that asks the phase's condition, with ``context`` if it takes one."""
    condition = phase.when or bool
    if wants_context(condition):
        return Call(condition, (), {"context": context})
    takes_one = any(
        each.kind in _BY_PLACE for each in _parameters(condition, follow_wrapped=True).values()
    )
    return Call(condition, (context,) if takes_one else ())


def call_handler(
    phase: Phase, arguments: Context, output: Output | None, token: CancelToken
) -> Any:
    """Call the phase's handler, on a worker; an ``async def`` gives something to await.

    What it prints goes to ``output``; ``token`` ends its subprocesses. The context variables
    that it sets are gone when it returns.

    Raises:
        HandlerLeft: it raised what would end a saga.
        BaseException: whatever else it raises.
    """
    try:
        result = copy_context().run(_call, phase, arguments, output, token)
    except (GeneratorExit, SagaCancelled) as error:
        raise HandlerLeft from error
    if result.__class__ is not CoroutineType:
        return result
    awaiting = _await(phase, result, output)
    awaiting.send(None)
    return awaiting


def _call(phase: Phase, arguments: Context, output: Output | None, token: CancelToken) -> Any:
    call = phase.handler if phase.executor == THREAD else called_elsewhere(phase)
    with cancelled_by(token):
        if output is None:
            return call(**arguments)
        with output.of_call(phase.name, fds=phase.capture_fds):
            return call(**arguments)


async def _await(phase: Phase, handler: Coroutine[Any, Any, Any], output: Output | None) -> Any:
    """Begun, and standing at ``_start``: it cleans up even if no event loop takes it."""
    try:
        await _start()
        async with (
            nullcontext()
            if output is None
            else output.of_coroutine(phase.name, fds=phase.capture_fds)
        ):
            return await handler
    except (GeneratorExit, SagaCancelled) as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            raise  # not the handler's: this coroutine is being closed
        raise HandlerLeft from error
    finally:
        handler.close()  # does something only where it was cancelled before it had begun


@coroutine
def _start() -> Generator[None, None, None]:
    """Awaited, lets a coroutine begin and stand still."""
    yield


def wants_context(handler: Callable[..., Any]) -> bool:
    """Whether ``handler`` has a parameter named ``context`` that can be given by name.

    Reading the code object of a plain function is a hundred times faster than a signature,
    and most handlers are plain functions.
    """
    if type(handler) is FunctionType and not hasattr(handler, "__wrapped__"):
        code = handler.__code__
        first = code.co_posonlyargcount
        named = code.co_varnames[first : code.co_argcount + code.co_kwonlyargcount]
        return "context" in named
    own = _parameters(handler, follow_wrapped=False)
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in own.values()):
        own = _parameters(handler, follow_wrapped=True)  # a wrapper that passes everything on
    return "context" in own and own["context"].kind in _BY_NAME


_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _parameters(
    handler: Callable[..., Any], *, follow_wrapped: bool
) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(handler, follow_wrapped=follow_wrapped).parameters
    except (TypeError, ValueError):  # built-in functions may have none to read
        return {}


def message_of(error: BaseException) -> str:
    """What a status says of ``error``; never empty, and with its type where it is no Exception."""
    try:
        text = str(error)
    except Exception:  # foreign code, whose fault must not hide the error it was to describe
        text = ""
    if isinstance(error, Exception) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
