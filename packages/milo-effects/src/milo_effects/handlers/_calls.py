"""Call and TryCall: foreign functions.

A plain function runs right here, on the worker that steps the saga. What an ``async def``
returns is handed to the event loop, and the saga parks.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from milo_core.runtime import StorePort
from milo_effects.effects import Call, TryCall
from milo_effects.errors import ChildCancelledError, SagaCancelled
from milo_effects.registry import answers
from milo_effects.results import WINDING_DOWN, EffectResult, Resume, Stop
from milo_effects.task import SagaTask


@answers(Call)
def call(effect: Call, context: SagaTask, store: StorePort) -> Any:
    """Send back what the function returns; what it raises goes to the saga."""
    if context.mark is not None:
        context.close_mark()  # a call may be long, and the journal would grow for all of it
    try:
        if effect.kwargs:
            result = effect.fn(*effect.args, **effect.kwargs)
        elif effect.args:
            result = effect.fn(*effect.args)
        else:
            result = effect.fn()  # by far the quickest of the three
    except SagaCancelled as cancelled:
        raise _of_another(cancelled) from cancelled
    if type(result) is CoroutineType:
        return context.follow(_await(result, context, lambda value: value, None))
    return result


@answers(TryCall)
def try_call(effect: TryCall, context: SagaTask, store: StorePort) -> Any:
    """Send back the result or the error, as a pair."""
    if context.mark is not None:
        context.close_mark()
    try:
        result = effect.fn(*effect.args, **effect.kwargs)
    except SagaCancelled as cancelled:
        return None, _of_another(cancelled)
    except Exception as error:  # foreign code; the saga asked to be sent its error
        return None, error
    if type(result) is CoroutineType:
        waiting = _await(result, context, lambda value: (value, None), lambda error: (None, error))
        return context.follow(waiting)
    return result, None


def _of_another(cancelled: SagaCancelled) -> ChildCancelledError:
    """The error for the end of a saga that a function has waited for; this one is not cancelled."""
    error = ChildCancelledError(str(cancelled))
    error.__cause__ = cancelled
    return error


def _await(
    coroutine: Coroutine[Any, Any, Any],
    context: SagaTask,
    wrap: Callable[[Any], Any],
    wrap_error: Callable[[Exception], Any] | None,
) -> EffectResult:
    """Park until the event loop has run ``coroutine``; cancelling the saga cancels it.

    The saga then goes on to its own cleanup when the coroutine's is over.
    """

    def start(resume: Resume) -> Stop:
        def ended(value: Any, error: BaseException | None) -> None:
            if error is None:
                resume.send(wrap(value))
            elif wrap_error is not None and isinstance(error, Exception):
                resume.send(wrap_error(error))
            else:
                resume.throw(error)

        cancel = context.runtime.loop.run(coroutine, ended)

        def stop() -> str:
            cancel()
            return WINDING_DOWN

        return stop

    return EffectResult.wait(start)
