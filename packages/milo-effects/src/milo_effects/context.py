"""Cancel scopes: who is cancelled with whom.

A context points up to its parent; a parent points down only to what is alive below it (a
running saga, or a context with one underneath), so contexts cost nothing once they are
forgotten. One lock guards all downward links; no foreign code runs under it.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable

from milo_effects._events import watch_event

_log = logging.getLogger(__name__)

_tree_lock = threading.Lock()
"""Guards every ``_cancelled`` that is set and every ``_members``."""
task_numbers = itertools.count(1)
"""What contexts without a name are called by."""


class SagaContext:
    """The identity and cancel scope of a running saga.

    Cancelling a context cancels everything below it: its ``child`` contexts, theirs, and the
    sagas that run in them. ``run_saga`` makes one for each saga that is given none.

    Args:
        saga_id: a name for logs and actions; ``saga-<n>`` by default.
        cancel: an event that stands for this scope: setting it cancels the scope, and
            cancelling the scope sets it.
        parent: the context to be cancelled with.
    """

    __slots__ = ("__weakref__", "_cancelled", "_event", "_id", "_members", "_parent")

    def __init__(
        self,
        saga_id: str | None = None,
        cancel: threading.Event | None = None,
        parent: SagaContext | None = None,
    ) -> None:
        if cancel is not None and not isinstance(cancel, threading.Event):
            raise TypeError(f"cancel takes a threading.Event, was given {cancel!r}")
        if parent is not None and not isinstance(parent, SagaContext):
            raise TypeError(f"parent takes a SagaContext, was given {parent!r}")
        self._id: str | int = next(task_numbers) if saga_id is None else saga_id
        self._parent = parent
        self._members: dict[SagaContext, None] | None = None
        self._cancelled = False
        self._event = cancel
        if cancel is not None:
            watch_event(cancel, self)

    @property
    def saga_id(self) -> str:
        """The name given, or a number of its own in this process."""
        return self._id if isinstance(self._id, str) else f"saga-{self._id}"

    @property
    def is_cancelled(self) -> bool:
        """Whether this context or one above it has been cancelled."""
        context: SagaContext | None = self
        while context is not None:
            if context._cancelled or (context._event is not None and context._event.is_set()):
                return True
            context = context._parent
        return False

    def cancel_tree(self) -> None:
        """Cancel this context and everything below it, at once. Harmless when repeated.

        May be called from any thread, a saga's included. Waiting sagas are woken to clean
        up; a call in progress finishes first.
        """
        with _tree_lock:
            if self._cancelled:
                return
            alone = not self._members
            if alone:
                self._cancelled = True
        if alone:
            self._on_cancelled()
        else:
            self._cancel_all()

    def heed_events(self) -> None:
        """Cancel each scope from here upwards whose event was set without anybody hearing of it."""
        context: SagaContext | None = self
        while context is not None:
            if context._event is not None and context._event.is_set():
                context.cancel_tree()
            context = context._parent

    def _cancel_all(self) -> None:
        """Cancel level by level, and within one in the order in which they came."""
        reached: list[SagaContext] = []
        with _tree_lock:
            ahead = [self]
            for context in ahead:  # which grows meanwhile
                if not context._cancelled:
                    context._cancelled = True
                    reached.append(context)
                    ahead.extend(context._members or ())
        for context in reached:
            context._on_cancelled()

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call ``callback`` once when this scope is cancelled; at once, if it has been.

        On the thread that cancels, so it must be quick; an error in it is logged. What is
        returned takes it back; a callback that is on its way may still be called.
        """
        listener = _Listener(self, callback)
        listener.enter()
        if self.is_cancelled:
            listener.cancel_tree()
        return listener.leave_for_good

    def child(self, saga_id: str | None = None) -> SagaContext:
        """A new context in this scope; cancelled from the start if this one is."""
        return SagaContext(saga_id, parent=self)

    def detached_child(self, saga_id: str | None = None) -> SagaContext:
        """A new context in a scope of its own."""
        return SagaContext(saga_id)

    def __repr__(self) -> str:
        state = " cancelled" if self.is_cancelled else ""
        return f"<{type(self).__name__} {self.saga_id}{state}>"

    def _on_cancelled(self) -> None:
        """Called once, without locks, after this context's flag was raised."""
        if self._event is not None:
            self._event.set()

    def _is_live(self) -> bool:
        """Whether this context has to hear of a cancellation above; under the tree lock."""
        return bool(self._members)

    def enter(self) -> None:
        """Become reachable from above."""
        with _tree_lock:
            context: SagaContext = self
            while (parent := context._parent) is not None:
                known = parent._is_live()
                if parent._members is None:
                    parent._members = {}
                parent._members[context] = None
                if known:
                    break
                context = parent

    def leave(self) -> None:
        """Stop being reachable from above, and so may those above that were only for this."""
        with _tree_lock:
            context: SagaContext = self
            while not context._is_live() and (parent := context._parent) is not None:
                if parent._members is not None:
                    parent._members.pop(context, None)
                context = parent


class _Listener(SagaContext):
    """A scope of nothing, for being told of the cancellation of the one above it."""

    __slots__ = ("_callback",)

    def __init__(self, parent: SagaContext, callback: Callable[[], object]) -> None:
        super().__init__(parent=parent)
        self._callback: Callable[[], object] | None = callback

    def leave_for_good(self) -> None:
        self._callback = None
        self.leave()

    def _on_cancelled(self) -> None:
        callback, self._callback = self._callback, None
        self.leave()
        if callback is None:
            return
        try:
            callback()
        except Exception:  # foreign code; everything else is cancelled all the same
            _log.exception("a callback of the cancellation of %s raised", self._parent)

    def _is_live(self) -> bool:
        return self._callback is not None


def descendants(context: SagaContext) -> list[SagaContext]:
    """``context`` and everything alive below it."""
    found: list[SagaContext] = []
    with _tree_lock:
        ahead = [context]
        while ahead:
            found.append(ahead.pop())
            ahead.extend(found[-1]._members or ())
    return found
