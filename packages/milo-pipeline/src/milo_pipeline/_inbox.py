"""What a run's saga waits for: something has come in. An effect of the pipeline's own.

It reaches the saga runner the way any plugin's effects do: by the entry point
``milo.effects`` of this distribution.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from milo_core import Action
from milo_core.runtime import StorePort
from milo_effects import EffectResult, Resume, SagaContext, Stop, answers, handles

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """A queue that any thread puts into and one saga empties.

    Items stay until they are taken, so none is lost when the saga is cancelled at the very
    moment one comes in.
    """

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()
        self._waiting: Resume | None = None

    def put(self, item: Item) -> None:
        """Add ``item`` and let the waiting saga know."""
        with self._lock:
            self._items.append(item)
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.next()

    def take(self) -> Item | None:
        """The oldest item, or ``None``."""
        with self._lock:
            return self._items.popleft() if self._items else None

    def wait(self, resume: Resume) -> Stop:
        """Resume the saga when there is an item, which may be now."""
        with self._lock:
            if not self._items:
                self._waiting = resume
                return partial(self._stop_waiting, resume)
        resume.next()
        return partial(self._stop_waiting, resume)

    def _stop_waiting(self, resume: Resume) -> None:
        """Harmless once that wait is over, also when another one has begun."""
        with self._lock:
            if self._waiting is resume:
                self._waiting = None


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """Wait until ``inbox`` holds something. Sends back ``None``."""

    inbox: Inbox[Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Sends back the saga's own context, which is cancelled with it."""


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Sends back the store's ``dispatch``, for output that comes from outside any saga."""


@handles(Arrival)
def arrival(effect: Arrival, context: SagaContext, store: StorePort) -> EffectResult:
    """Park until the inbox has something."""
    return EffectResult.wait(effect.inbox.wait)


@answers(Scope)
def scope(effect: Scope, context: SagaContext, store: StorePort) -> SagaContext:
    """Hand it out."""
    return context


@handles(Dispatcher)
def dispatcher(effect: Dispatcher, context: SagaContext, store: StorePort) -> EffectResult:
    """Hand the method out."""
    dispatch: Callable[[Action], None] = store.dispatch
    return EffectResult.send(dispatch)


HANDLERS = {Arrival: arrival, Dispatcher: dispatcher, Scope: scope}
"""What the entry point ``milo.effects`` of milo-pipeline points to."""
