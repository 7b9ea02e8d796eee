"""Running sagas on behalf of a waiting one: the groundwork of Timeout, Race, All and Retry."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from milo_effects._runner import not_a_saga
from milo_effects.errors import ChildCancelledError, SagaCancelled
from milo_effects.results import WINDING_DOWN, EffectResult, Resume, Stop
from milo_effects.task import Cancelling, OnDone, Saga, SagaTask


def as_saga(target: Any, context: SagaTask) -> Saga | Callable[[], Any]:
    """``target`` as something a task can run: a saga, what makes one, or a single effect.

    Raises:
        StateError: it is none of these.
    """
    if isinstance(target, Generator):
        return target
    if context.runtime.registry.knows(target):
        return _only(target)
    if callable(target):
        return target  # type: ignore[no-any-return]  # whatever it returns is checked when run
    raise not_a_saga(target, None)


def _only(effect: Any) -> Saga:
    return (yield effect)


def new_child(parent: SagaTask, source: Saga | Callable[[], Any], on_done: OnDone) -> SagaTask:
    """A saga in the parent's scope whose end is waited for; ``start_child`` starts it.

    It is part of the effect its parent has yielded, so its first ``Take`` sees what was
    dispatched since then, or since the ``Put`` before.
    """
    runtime = parent.runtime
    mark = runtime.takers.new_mark(parent.since)
    child = SagaTask(
        runtime, source, parent=parent.scope, quiet=True, mark=mark, values=parent.values
    )
    child.add_done_callback(on_done)
    return child


def start_child(child: SagaTask) -> None:
    """Queue the child before other ready work."""
    child.runtime.runner.start(child, first=True)


def hand_on(child: SagaTask, parent: SagaTask, resume: Resume) -> None:
    """Resume the parent with how its child ended.

    A parent that is being cancelled is not told of an error, so that is dispatched.
    """
    if child.was_cancelled() and parent.is_cancelled:
        # Both by the same cancel_tree, which is still on its way to the parent.
        parent.runtime.runner.request_cancel(parent)
    if parent.cancelling is not Cancelling.NO and parent.cancelling is not Cancelling.DELIVERED:
        report(child)
    if child.error is None:
        resume.send(child.value)
    else:
        resume.throw(failure(child))


def report(child: SagaTask) -> None:
    """Dispatch the error of a child, if it has one, because nobody else will be told."""
    if child.error is not None and not child.was_cancelled():
        child.runtime.runner.announce(child)


def failure(child: SagaTask) -> BaseException:
    """The error of a child as its parent should see it.

    A child's cancellation is not the parent's.
    """
    error = child.error
    if isinstance(error, SagaCancelled):
        made = ChildCancelledError(f"{child.saga_id}, which this saga waited for, was cancelled")
        made.__cause__ = error
        return made
    assert error is not None
    return error


def delegate(parent: SagaTask, source: Saga | Callable[[], Any]) -> EffectResult:
    """Answer with the outcome of ``source``, a saga that runs in the parent's place.

    For handlers whose effect is made of others: ``return delegate(context, saga())``.
    """

    def start(resume: Resume) -> Stop:
        child = new_child(parent, source, lambda ended: hand_on(ended, parent, resume))
        start_child(child)
        return partial(wind_down, child)

    return EffectResult.wait(start)


def wind_down(child: SagaTask) -> str:
    """Stop the child, whose end will resume the parent."""
    child.cancel_tree()
    return WINDING_DOWN
