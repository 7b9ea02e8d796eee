"""One saga: its generator, where it stands, how it ended.

A task is the context of the saga it runs. Its ``state`` and what belongs to waiting are
changed only by the thread that has a right to, under the scheduler's lock:

    QUEUED ──worker takes it──▶ RUNNING ──waits──▶ PARKED ──resumed or cancelled──▶ QUEUED
                                   └──generator ended──▶ DONE

While a task is RUNNING its worker owns it; all others may only ask for its cancellation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextvars import Context
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from milo_effects._events import unwatch_event, watch_event
from milo_effects.context import SagaContext
from milo_effects.errors import SagaCancelled

if TYPE_CHECKING:
    from milo_effects._timers import Clock
    from milo_effects.results import Cancel
    from milo_effects.runtime import SagaRuntime

Saga: TypeAlias = Generator[Any, Any, Any]
OnDone: TypeAlias = Callable[["SagaTask"], None]


class TaskState(Enum):
    """Where a task stands; see the module's drawing."""

    QUEUED = 1
    RUNNING = 2
    PARKED = 3
    DONE = 4


class Cancelling(Enum):
    """How far a task's cancellation has come."""

    NO = 0
    REQUESTED = 1
    WINDING_DOWN = 2
    """What it waits for is coming to its end; the saga has not been told yet."""
    DELIVERED = 3
    """``SagaCancelled`` was thrown in; the saga is cleaning up, or has decided to live on."""
    CLOSING = 4
    """Cleanup has had its time; the generator is to be closed."""


NOT_CANCELLING: Final = Cancelling.NO


class SagaTask(SagaContext):
    """A running saga: what ``Fork`` sends back, and what effect handlers get as context."""

    __slots__ = (
        "_on_done",
        "answer",
        "cancelling",
        "cleanup_scope",
        "error",
        "generator",
        "local",
        "mark",
        "quiet",
        "runtime",
        "since",
        "state",
        "stop_waiting",
        "value",
        "variables",
        "waiting",
    )

    def __init__(
        self,
        runtime: SagaRuntime,
        source: Saga | Callable[[], Any],
        *,
        parent: SagaContext | None = None,
        saga_id: str | None = None,
        quiet: bool = False,
        mark: Any = None,
    ) -> None:
        super().__init__(saga_id, parent=parent)
        self.runtime = runtime
        self.generator: Any = source
        """The generator; before the first step perhaps the function that returns it."""
        self.quiet = quiet
        """Whether someone waits for the outcome, so that it is not dispatched."""
        self.state = TaskState.QUEUED
        self.cancelling = NOT_CANCELLING
        self.answer: tuple[bool, Any] = (True, None)
        """What the next step begins with: (send or throw, what)."""
        self.waiting: object | None = None
        """The token of the wait under way; a resume with any other is too late."""
        self.stop_waiting: Cancel | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.mark: Any = mark
        """The journal node of the ``Put`` carried out in this step (see ``_takers``)."""
        self.since: Any = None
        """The journal node of the ``Put`` that this step's effect directly follows."""
        self.variables: Context | None = None
        """The saga's context variables, when it has set any."""
        self.local: dict[Any, Any] | None = None
        """What handlers keep for this saga, by a key of their own."""
        self.cleanup_scope: SagaContext | None = None
        self._on_done: list[OnDone] | None = None

    # For the holder of the handle

    @property
    def context(self) -> SagaContext:
        """The saga's context, which is the task itself."""
        return self

    def cancel(self) -> None:
        """As ``cancel_tree()``."""
        self.cancel_tree()

    def set(self) -> None:
        """As ``cancel_tree()``; the name of an event's method, as milo-cli's handle has it."""
        self.cancel_tree()

    def is_set(self) -> bool:
        """As ``is_cancelled``."""
        return self.is_cancelled

    def done(self) -> bool:
        """Whether the saga has ended, in whichever way."""
        return self.state is TaskState.DONE

    def result(self, timeout: float | None = None) -> Any:
        """Block until the saga has ended, and return what it returned.

        Blocks the thread; inside a saga wait for another one with effects instead.

        Raises:
            SagaCancelled: it was cancelled.
            TimeoutError: it did not end within ``timeout`` seconds.
            BaseException: the saga's own error.
        """
        if not self.done():
            ended = threading.Event()
            self.add_done_callback(lambda _: ended.set())
            if not ended.wait(timeout):
                raise TimeoutError(f"{self.saga_id} did not end within {timeout}s")
        if self.error is not None:
            raise self.error
        return self.value

    def add_done_callback(self, callback: OnDone) -> None:
        """Call ``callback(task)`` when the saga has ended; at once if it has.

        On the worker that ended it, so the callback must be quick. An error in it is logged.
        """
        self.runtime.runner.on_done(self, callback)

    # For handlers

    @property
    def clock(self) -> Clock:
        """The runtime's clock, which serves every delay and timeout."""
        return self.runtime.clock

    def child(self, saga_id: str | None = None) -> SagaContext:
        """A new context in this saga's scope; while it cleans up, in the scope of its cleanup."""
        return SagaContext(saga_id, parent=self.scope)

    def detached_child(self, saga_id: str | None = None) -> SagaContext:
        """A new context in a scope of its own."""
        return SagaContext(saga_id)

    @property
    def parent(self) -> SagaContext | None:
        """The context this saga is cancelled with, if any."""
        return self._parent

    @property
    def scope(self) -> SagaContext:
        """The context in which attached children of this saga run."""
        return self.cleanup_scope or self

    # For the runner and the context tree

    def was_cancelled(self) -> bool:
        """Whether the saga ended by cancellation."""
        return self.done() and isinstance(self.error, SagaCancelled)

    def keep_callback(self, callback: OnDone) -> bool:
        """Keep ``callback`` unless the saga has ended; under the scheduler's lock."""
        if self.state is TaskState.DONE:
            return False
        if self._on_done is None:
            self._on_done = []
        self._on_done.append(callback)
        return True

    def take_callbacks(self) -> list[OnDone]:
        """The callbacks, once; under the scheduler's lock."""
        callbacks, self._on_done = self._on_done or [], None
        return callbacks

    def forget(self) -> None:
        """Let go of the scope and the event; called once, after the end."""
        if self._event is not None:
            unwatch_event(self._event, self)
        if self._parent is not None:
            self.leave()

    def watch(self, event: threading.Event) -> None:
        """Be cancelled when ``event`` is set, until the end."""
        self._event = event
        watch_event(event, self)

    def _is_live(self) -> bool:
        return self.state is not TaskState.DONE or bool(self._members)

    def _on_cancelled(self) -> None:
        self.runtime.runner.request_cancel(self)
        super()._on_cancelled()  # after that: who hears the event finds the saga told
