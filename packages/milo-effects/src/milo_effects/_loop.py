"""The one event loop on which a runtime runs what ``async def`` functions return."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Protocol, TypeAlias

from milo_core import StateError
from milo_effects._threads import BackgroundThread

_log = logging.getLogger(__name__)

Ended: TypeAlias = Callable[[Any, BaseException | None], None]


class CoroutineRunner(Protocol):
    """Where a runtime runs coroutines."""

    def run(self, coroutine: Coroutine[Any, Any, Any], ended: Ended) -> Callable[[], None]:
        """Run ``coroutine``, call ``ended(result, error)`` then; returns how to cancel it."""

    def is_current(self) -> bool:
        """Whether the caller is inside a coroutine that runs here."""

    def close(self) -> None:
        """Cancel what runs and wait for it to end."""


class EventLoopThread:
    """Runs coroutines on a thread of its own, which starts with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._stopped = False
        """Set on the loop's thread, once what was handed in before ``close`` has begun."""

    def run(self, coroutine: Coroutine[Any, Any, Any], ended: Ended) -> Callable[[], None]:
        """Run ``coroutine`` and call ``ended(result, error)`` on the loop's thread.

        It runs with the caller's context variables. Returns how to cancel it from any
        thread; a cancelled coroutine cleans up and then ends, usually with ``CancelledError``.

        Raises:
            StateError: the loop has been closed. The coroutine is closed too.
        """
        running = _Running(coroutine, ended, copy_context())
        try:
            with self._lock:  # so that it comes before what ``close`` has the loop do
                loop = self._running_loop()
                loop.call_soon_threadsafe(running.begin, loop)
        except BaseException:  # closed, or the system has no thread for it
            coroutine.close()
            raise
        return lambda: _call_on(loop, running.cancel)

    def is_current(self) -> bool:
        """Whether the calling thread is the loop's."""
        return self._thread is threading.current_thread()

    def close(self) -> None:
        """Cancel what runs, wait for it to end, and end the thread."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        _call_on(loop, partial(self._stop, loop))
        thread.join()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """The loop, started if need be; under the lock."""
        if self._closed:
            raise StateError("the runtime has been shut down and runs no more coroutines")
        if self._loop is None:
            self._loop, self._thread = self._start()
        return self._loop

    def _start(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        loop = Context().run(asyncio.new_event_loop)  # or it keeps the first saga's variables
        thread = BackgroundThread(
            name="milo-event-loop", target=self._work, args=(loop,), daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system is out of threads; the next coroutine tries again
            loop.close()
            raise
        return loop, thread

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            while not self._stopped:
                _outlive_exits(loop.run_forever)
            told: set[asyncio.Task[Any]] = set()
            while left := asyncio.all_tasks(loop):
                for task in left - told:  # once: a second time would cut its cleanup off
                    task.cancel()
                told |= left
                _outlive_exits(loop.run_until_complete, asyncio.wait(left))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stopped = True
        loop.stop()


class _Running:
    """One coroutine on its way; used on the loop's thread only."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], ended: Ended, variables: Context
    ) -> None:
        self._coroutine = coroutine
        self._ended = ended
        self._variables = variables
        self._task: asyncio.Task[Any] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._task = loop.create_task(self._coroutine, context=self._variables)
        except BaseException as error:  # of a task factory that a coroutine has set
            self._coroutine.close()
            self._ended(None, error)
        else:
            self._task.add_done_callback(self._report)

    def cancel(self) -> None:
        """Queued behind ``begin``."""
        if self._task is not None:
            self._task.cancel()

    def _report(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._ended(None, asyncio.CancelledError())
        else:
            error = task.exception()
            self._ended(None if error is not None else task.result(), error)


def _outlive_exits(run: Callable[..., object], *args: Any) -> None:
    """Run the loop; asyncio lets these two through, and they are one coroutine's outcome."""
    try:
        run(*args)
    except (SystemExit, KeyboardInterrupt) as exit_:
        _log.debug("a coroutine raised %r; the loop goes on", exit_)


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call ``callback`` on the loop's thread, unless the loop has ended by then."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        if not loop.is_closed():
            raise
