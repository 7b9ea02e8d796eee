"""The one event loop on which a runtime runs what ``async def`` functions return."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeAlias

from milo_core import StateError
from milo_effects._threads import BackgroundThread

Ended: TypeAlias = Callable[[Any, BaseException | None], None]


class EventLoopThread:
    """Runs coroutines on a thread of its own, which starts with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def run(self, coroutine: Coroutine[Any, Any, Any], ended: Ended) -> Callable[[], None]:
        """Run ``coroutine`` and call ``ended(result, error)`` on the loop's thread.

        It runs with the caller's context variables. Returns how to cancel it from any
        thread; a cancelled coroutine ends with ``CancelledError``.

        Raises:
            StateError: the loop has been closed. The coroutine is closed too.
        """
        try:
            loop = self._running_loop()
        except StateError:
            coroutine.close()
            raise
        running = _Running(coroutine, ended, copy_context())
        loop.call_soon_threadsafe(running.begin, loop)
        return lambda: _call_on(loop, running.cancel)

    def close(self) -> None:
        """Cancel what runs, wait for it to end, and end the thread."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        _call_on(loop, loop.stop)
        if thread is not threading.current_thread():
            thread.join()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise StateError("the runtime has been shut down and runs no more coroutines")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = BackgroundThread(
                    name="milo-event-loop", target=self._work, daemon=True
                )
                self._thread.start()
            return self._loop

    def _work(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class _Running:
    """One coroutine on its way; used on the loop's thread only."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], ended: Ended, variables: Context
    ) -> None:
        self._coroutine = coroutine
        self._ended = ended
        self._variables = variables
        self._task: asyncio.Task[Any] | None = None
        self._unwanted = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._unwanted:
            self._coroutine.close()
            self._ended(None, asyncio.CancelledError())
            return
        self._task = loop.create_task(self._coroutine, context=self._variables)
        self._task.add_done_callback(self._report)

    def cancel(self) -> None:
        self._unwanted = True
        if self._task is not None:
            self._task.cancel()

    def _report(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._ended(None, asyncio.CancelledError())
        else:
            error = task.exception()
            self._ended(None if error is not None else task.result(), error)


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call ``callback`` on the loop's thread, unless the loop has ended by then."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        if not loop.is_closed():
            raise
