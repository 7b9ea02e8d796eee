"""How a handler's subprocess hears that nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

from milo_capture import CancelToken
from milo_effects import SagaContext


class AttemptToken(CancelToken):
    """Cancelled with the saga of a phase, and when an attempt's time is over.

    ``milo_capture.run`` finds it in the handler's context. The saga's scope is listened to
    only for as long as somebody wants to be told.
    """

    __slots__ = ("_context",)

    def __init__(self, context: SagaContext) -> None:
        super().__init__()
        self._context = context

    @property
    def is_cancelled(self) -> bool:
        """Whether the attempt is to end."""
        return super().is_cancelled or self._context.is_cancelled

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """As that of every token; called once, whichever of the two comes first."""
        first = threading.Lock()

        def once() -> None:
            if first.acquire(blocking=False):
                callback()

        of_time = super().on_cancel(once)
        of_saga = self._context.on_cancel(once)

        def undo() -> None:
            of_time()
            of_saga()

        return undo
