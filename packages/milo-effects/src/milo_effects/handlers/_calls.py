"""Call, TryCall and Retry: foreign functions.

A plain function runs right here, on the worker that steps the saga. What an ``async def``
returns is handed to the event loop, and the saga parks.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from milo_core.runtime import StorePort
from milo_effects.children import run_child
from milo_effects.effects import Call, Delay, Retry, TryCall
from milo_effects.errors import ChildCancelledError, SagaCancelled
from milo_effects.registry import handles
from milo_effects.results import SEND, WINDING_DOWN, Cancel, EffectResult, Resume
from milo_effects.task import Saga, SagaTask


@handles(Call)
def call(effect: Call, context: SagaTask, store: StorePort) -> EffectResult:
    """Send back what the function returns; what it raises goes to the saga."""
    result = _run(effect, context)
    if result.__class__ is CoroutineType:
        return _await(result, context, lambda value: value, None)
    return EffectResult(SEND, result)


@handles(TryCall)
def try_call(effect: TryCall, context: SagaTask, store: StorePort) -> EffectResult:
    """Send back the result or the error, as a pair."""
    try:
        result = _run(effect, context)
    except Exception as error:  # foreign code; the saga asked to be sent its error
        return EffectResult.send((None, error))
    if result.__class__ is CoroutineType:
        return _await(result, context, lambda value: (value, None), lambda error: (None, error))
    return EffectResult.send((result, None))


def _run(effect: Call | TryCall, context: SagaTask) -> Any:
    context.since = None  # a call may be long, and the journal would grow for all of it
    try:
        return effect.fn(*effect.args, **effect.kwargs)
    except SagaCancelled as cancelled:  # of a saga that the function waited for, not of this one
        raise ChildCancelledError(str(cancelled)) from cancelled


@handles(Retry)
def retry(effect: Retry, context: SagaTask, store: StorePort) -> EffectResult:
    """Run the attempts as a saga of their own, so that waiting between them parks."""
    return run_child(context, _attempts(effect))


def _attempts(effect: Retry) -> Saga:
    call = Call(effect.fn, effect.args, effect.kwargs)
    for attempt in range(effect.max_attempts - 1):
        try:
            return (yield call)
        except Exception:  # foreign code; tried again, and the last attempt's error counts
            yield Delay(effect.delay(attempt))
    return (yield call)


def _await(
    coroutine: Coroutine[Any, Any, Any],
    context: SagaTask,
    wrap: Callable[[Any], Any],
    wrap_error: Callable[[Exception], Any] | None,
) -> EffectResult:
    """Park until the event loop has run ``coroutine``; cancelling the saga cancels it.

    The saga then goes on to its own cleanup when the coroutine's is over.
    """

    def start(resume: Resume) -> Cancel:
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
