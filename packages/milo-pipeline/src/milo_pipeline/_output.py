"""What handlers print, as ``@@PHASE_LOG`` actions while they run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from types import CoroutineType
from typing import Any

from milo_capture import Line, LineFeed
from milo_core import Action
from milo_effects import Call
from milo_pipeline.actions import phase_log


class Output:
    """Dispatches the captured lines of one run, from the feed's thread.

    A phase's lines have all been dispatched when its handler's call ends, so they stand
    before whatever the saga says of the phase next.
    """

    def __init__(self, dispatch: Callable[[Action], None]) -> None:
        self._dispatch = dispatch
        self._feed: LineFeed[str] = LineFeed(self._deliver)

    def captured(self, name: str, call: Call) -> Call:
        """The same call, its output going to phase ``name``."""
        return Call(partial(self._run, name, call))

    def close(self) -> None:
        """End the thread; nothing is left to deliver by then."""
        self._feed.close()

    def _run(self, name: str, call: Call) -> Any:
        with self._feed.capture(name):
            result = call.fn(*call.args, **call.kwargs)
        if isinstance(result, CoroutineType):
            return self._await(name, result)
        return result

    async def _await(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> Any:
        async with self._feed.capture_async(name):
            return await coroutine

    def _deliver(self, batch: Sequence[tuple[str, Line]]) -> None:
        for name, line in batch:
            self._dispatch(phase_log(name, line.text, line.stream, line.timestamp))
