"""One saga: its generator, where it stands, how it ended.

A task is the context of the saga it runs. Its ``state`` and what belongs to waiting are
changed only by the thread that has a right to, under the scheduler's lock:

    QUEUED ──worker takes it──▶ RUNNING ──waits──▶ PARKED ──resumed or cancelled──▶ QUEUED
                                   └──generator ended──▶ DONE

While a task is RUNNING its worker owns it; all others may only ask for its cancellation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from milo_effects._events import unwatch_event, watch_event
from milo_effects.context import SagaContext, task_numbers
from milo_effects.errors import SagaCancelled

if TYPE_CHECKING:
    from milo_core.journal import Mark, Node
    from milo_effects._timers import Clock
    from milo_effects.results import Reply, Wait
    from milo_effects.runtime import SagaRuntime

Saga: TypeAlias = Generator[Any, Any, Any]
OnDone: TypeAlias = Callable[["SagaTask"], None]


FOLLOW: Final = object()
"""What the runner is returned by a handler that has left a ``Reply`` with the task."""


class TaskState:
    """Where a task stands; see the module's drawing. Small integers, which no thread counts."""

    QUEUED: Final = 1
    RUNNING: Final = 2
    PARKED: Final = 3
    DONE: Final = 4


class Cancelling:
    """How far a task's cancellation has come. Above ``DELIVERED`` its worker has to act on it."""

    NO: Final = 0
    DELIVERED: Final = 1
    """``SagaCancelled`` was thrown in; the saga is cleaning up, or has decided to live on."""
    REQUESTED: Final = 2
    WINDING_DOWN: Final = 3
    """What it waits for is coming to its end; the saga has not been told yet."""
    CLOSING: Final = 4
    """Cleanup has had its time; the generator is to be closed."""


_DONE: Final = TaskState.DONE
_QUEUED: Final = TaskState.QUEUED
_DELIVERED: Final = Cancelling.DELIVERED


class SagaTask(SagaContext):
    """A running saga: what ``Fork`` sends back, and what effect handlers get as context."""

    __slots__ = (
        "_cleanup_scope",
        "cancelling",
        "generator",
        "given",
        "local",
        "mark",
        "ok",
        "on_done",
        "pulse",
        "quiet",
        "reply",
        "runtime",
        "since",
        "state",
        "value",
        "values",
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
        mark: Mark | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        # What SagaContext.__init__ does, without its checks: tasks are made by the million.
        self._id = next(task_numbers) if saga_id is None else saga_id
        self._parent = parent
        self._members = None
        self._cancelled = False
        self._event = None
        self.runtime = runtime
        self.generator: Any = source
        """The generator; before the first step perhaps the function that returns it."""
        self.quiet = quiet
        """Whether someone waits for the outcome, so that it is not dispatched."""
        self.pulse = 0
        """Goes up with each small piece of work, for a saga that does many in one turn.

        By this the scheduler sees that its worker needs no help; changed by the saga alone.
        """
        self.state: int = _QUEUED
        self.cancelling: int = 0
        self.ok = True
        """Whether the next step begins by sending ``value``, or by throwing it."""
        self.value: Any = None
        """What the next step begins with; at the end the outcome: the result or the error."""
        self.waiting: Wait | None = None
        """The wait under way; a resume by any other is too late."""
        self.given: Wait | None = None
        """The wait that gave ``value`` and wants it back if the saga does not get it."""
        self.mark: Mark | None = mark
        """Open from a ``Put`` to the next effect, and from the start of a child to its first."""
        self.since: Node | None = None
        """While a wait begins: where in the journal its mark stands, if it has an open one."""
        self.reply: Reply | None = None
        """What a handler has said to do, until the runner does it."""
        self.variables: Context | None = None
        """The saga's context variables, when it has set any."""
        self.values = values
        """What ``SetContext`` has set here or above; sagas started from here inherit it."""
        self.local: dict[Any, Any] | None = None
        """What handlers keep for this saga, by a key of their own."""
        self._cleanup_scope: SagaContext | None = None
        self.on_done: dict[OnDone, None] | None = None
        """What ``add_done_callback`` was given; changed under the scheduler's lock."""

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
        return self.state == _DONE

    def result(self, timeout: float | None = None) -> Any:
        """Block until the saga has ended, and return what it returned.

        Blocks the thread; inside a saga wait for another one with effects instead.

        Raises:
            SagaCancelled: it was cancelled.
            TimeoutError: it did not end within ``timeout`` seconds.
            BaseException: the saga's own error.
        """
        if not self.done():
            ended = self.runtime.runner.scheduler.event()
            self.add_done_callback(lambda _: ended.set())
            if not ended.wait(timeout):
                raise TimeoutError(f"{self.saga_id} did not end within {timeout}s")
        if not self.ok:
            raise self.value
        return self.value

    def add_done_callback(self, callback: OnDone) -> None:
        """Call ``callback(task)`` when the saga has ended; at once if it has.

        On the worker that ended it, so the callback must be quick. An error in it is logged.
        Callbacks are called in the order in which they were added, each once.
        """
        self.runtime.runner.on_done(self, callback)

    def remove_done_callback(self, callback: OnDone) -> None:
        """No longer call ``callback``; harmless when it was called or is not there."""
        self.runtime.runner.not_on_done(self, callback)

    # For handlers

    def follow(self, reply: Reply) -> object:
        """What a handler marked with ``answers`` returns to do anything else than send."""
        self.reply = reply
        return FOLLOW

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
        """The context in which attached children of this saga run; for its own worker.

        A saga that cleans up after its cancellation has a fresh one, which is not cancelled.
        """
        if self.cancelling != _DELIVERED:
            return self
        if self._cleanup_scope is None:
            self._cleanup_scope = SagaContext()
        return self._cleanup_scope

    @property
    def error(self) -> BaseException | None:
        """What the saga ended with, if not by returning."""
        return self.value if self.state == _DONE and not self.ok else None

    # For the runner and the context tree

    def close_mark(self) -> None:
        """Have the journal kept for this saga no longer."""
        mark = self.mark
        if mark is not None:
            mark.node = self.mark = self.since = None

    def was_cancelled(self) -> bool:
        """Whether the saga ended by cancellation."""
        return isinstance(self.error, SagaCancelled)

    def keep_callback(self, callback: OnDone) -> bool:
        """Keep ``callback`` unless the saga has ended; under the scheduler's lock."""
        if self.state == _DONE:
            return False
        if self.on_done is None:
            self.on_done = {}
        self.on_done[callback] = None
        return True

    @property
    def is_watching(self) -> bool:
        """Whether an event of the caller's can cancel this saga."""
        return self._event is not None

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
        return self.state != _DONE or bool(self._members)

    def _on_cancelled(self) -> None:
        self.runtime.runner.request_cancel(self)
        if self._event is not None:  # after that: who hears the event finds the saga told
            self._event.set()
