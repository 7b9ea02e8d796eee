"""What handlers print, as ``@@PHASE_LOG`` actions while they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager

from milo_capture import Line, LineFeed
from milo_core import Action
from milo_pipeline.actions import phase_log


class Output:
    """Dispatches the captured lines of one run, from the feed's thread.

    A phase's lines have all been dispatched when its handler's call ends, so they stand
    before whatever the saga says of the phase next. ``hear`` is told of each line as well.
    """

    def __init__(
        self,
        dispatch: Callable[[Action], None],
        hear: Callable[[str, Line], None] | None = None,
    ) -> None:
        self._dispatch = dispatch
        self._hear = hear
        self._feed: LineFeed[str] = LineFeed(self._deliver)

    def of_call(self, name: str, *, fds: bool = False) -> AbstractContextManager[None]:
        """The block's output goes to phase ``name``, with ``fds`` that of the file descriptors."""
        return self._feed.capture(name, fds=fds)

    def of_coroutine(self, name: str, *, fds: bool = False) -> AbstractAsyncContextManager[None]:
        """As ``of_call``, for a block of a coroutine; waiting does not hold up the event loop."""
        return self._feed.capture_async(name, fds=fds)

    def close(self) -> None:
        """End the thread; nothing is left to deliver by then."""
        self._feed.close()

    def _deliver(self, batch: Sequence[tuple[str, Line]]) -> None:
        for name, line in batch:
            if self._hear is not None:
                self._hear(name, line)
            self._dispatch(phase_log(name, line.text, line.stream, line.timestamp))
