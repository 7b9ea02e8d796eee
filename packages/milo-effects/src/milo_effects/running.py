"""Running one saga without a store of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from milo_core import Store
from milo_effects.registry import EffectRegistry
from milo_effects.runtime import SagaRuntime
from milo_effects.task import Saga


def run(
    saga: Saga | Callable[[], Saga],
    *,
    max_workers: int | None = None,
    registry: EffectRegistry | None = None,
) -> Any:
    """Run ``saga`` to its end on threads that live as long, and return what it returned.

    All effects work: ``Put`` reaches whoever takes the action, ``Select`` gives ``None``, the
    state of a store that has none. Blocks the calling thread; Ctrl-C cancels the saga, which
    cleans up first. Sagas that it has forked and that still run at its end are cancelled.

    Raises:
        StateError: ``saga`` is no saga.
        BaseException: the saga's own error.

    >>> from milo_effects import All, Call
    >>> def sizes():
    ...     return (yield All((Call(len, ("milo",)), Call(len, ("saga!",)))))
    >>> run(sizes())
    (4, 5)
    """
    runtime = partial(SagaRuntime, registry=registry)
    with Store(_unchanged, None, max_workers=max_workers, runtime=runtime) as store:
        return store.run_saga(saga).result()


def _unchanged(state: None, action: object) -> None:
    return state
