"""Lines of many tasks, live, to one consumer."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from logging import getLogger
from types import TracebackType
from typing import Generic, TypeVar

from milo_capture._fds import redirected_fds
from milo_capture._lines import Line
from milo_capture._log_calls import is_logging
from milo_capture._queue import BatchQueue
from milo_capture._sink import Sink, inside
from milo_capture._streams import captured_by, replaced_streams
from milo_capture.errors import CaptureError, FeedClosedError

Tag = TypeVar("Tag")

_logger = getLogger(__name__)


class LineFeed(Generic[Tag]):
    """Calls ``deliver(batch)`` with the lines captured under it, each beside its tag.

    Lines arrive while they are being written, in order, one batch at a time, on a daemon
    thread of the feed's own that starts with the first line and runs in an empty context.
    When more than ``capacity`` lines wait, writers wait, so nothing is dropped; for that
    reason ``deliver`` must not wait for a lock that a writer holds while it prints. Locks of
    ``logging`` are no such locks: who logs waits when it has let go of them. What
    ``deliver`` itself prints passes through. If it raises, that is logged, once for the
    batch, and the next batch is delivered.

    Close it when done, or use it as a context manager. A feed belongs to the process that
    made it; in a forked child, output passes through.

    >>> delivered = []
    >>> with LineFeed(delivered.extend) as feed:
    ...     with feed.capture("render"):
    ...         print("page 1")
    >>> [(tag, line.text) for tag, line in delivered]
    [('render', 'page 1')]
    """

    def __init__(
        self, deliver: Callable[[Sequence[tuple[Tag, Line]]], object], *, capacity: int = 1024
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; a feed needs room for at least 1 line")
        self._deliver = deliver
        self._queue: BatchQueue[tuple[Tag, Line]] = BatchQueue(capacity)
        self._process = os.getpid()
        self._lock = threading.RLock()  # guards the three below; a signal handler may close
        self._closed = False
        self._open_sinks: set[_FeedSink[Tag]] = set()
        self._thread: threading.Thread | None = None
        self._thread_id: int | None = None  # set by the thread

    @contextmanager
    def capture(self, tag: Tag, *, fds: bool = False) -> Iterator[None]:
        """What the block and the threads it starts print is delivered beside ``tag``.

        Leaving it, also with an error, ends a last unterminated line and waits until every
        line written in the block has been delivered; none comes later. Inside ``deliver``
        of the same feed the block changes nothing: there, output passes through.

        With ``fds`` that is also what C code and child processes write to the file
        descriptors 1 and 2, wherever in the process they do. One block at a time can have
        them, and ``deliver`` must not write to them, except through ``sys.stdout`` and
        ``sys.stderr``: what it wrote would be delivered again.

        Raises:
            FeedClosedError: the feed has been closed.
            CaptureError: the feed was made by the process this one was forked from; or,
                with ``fds``, another block has the file descriptors, or this is Windows.
        """
        sink = self._open_sink(tag)
        try:
            with captured_by(sink), redirected_fds(fds):
                yield
        finally:
            self._finish(sink)

    @asynccontextmanager
    async def capture_async(self, tag: Tag, *, fds: bool = False) -> AsyncIterator[None]:
        """As ``capture``, for a coroutine: leaving it does not block the event loop.

        What the coroutine's own task prints is captured, and the tasks and threads it starts.
        """
        sink = self._open_sink(tag)
        try:
            with replaced_streams(), inside(sink), redirected_fds(fds):
                yield
        finally:
            await asyncio.shield(asyncio.to_thread(self._close_and_finish, sink))

    def close(self) -> None:
        """Deliver what is left, end the thread and wait for it. Again is harmless.

        Captures that are still open end here: what is written in them later passes through.

        Raises:
            CaptureError: called from inside ``deliver``, which would wait for itself.
        """
        if self.runs_this_thread():
            raise CaptureError(
                "close() was called from inside deliver, so it would wait for itself. "
                "Let deliver return and close the feed from another thread."
            )
        if os.getpid() != self._process:
            return
        with self._lock:
            self._closed = True
            open_sinks = tuple(self._open_sinks)
        for sink in open_sinks:
            sink.close()
        self._queue.end()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> "LineFeed[Tag]":
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def runs_this_thread(self) -> bool:
        """Is this the feed's own thread, that is, are we inside ``deliver``?"""
        return threading.get_ident() == self._thread_id

    def _open_sink(self, tag: Tag) -> "_FeedSink[Tag]":
        if os.getpid() != self._process:
            raise CaptureError(
                f"capture({tag!r}) on a LineFeed made by process {self._process}, from which "
                "this one was forked: its thread is not here. Make a LineFeed after the fork."
            )
        with self._lock:
            if self._closed:
                raise FeedClosedError(tag)
            sink = _FeedSink(self, tag)
            sink.deaf_to = self._thread_id
            self._open_sinks.add(sink)
            return sink

    def _close_and_finish(self, sink: "_FeedSink[Tag]") -> None:
        sink.close()
        self._finish(sink)

    def _finish(self, sink: "_FeedSink[Tag]") -> None:
        if sink.abandoned:
            return
        with self._lock:
            self._open_sinks.discard(sink)
        if sink.has_lines and not self.runs_this_thread():
            self._queue.wait_done()

    def _start_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._deliver_batches, name="milo-capture-feed", daemon=True
                )
                self._thread = thread
                try:
                    # In an empty context, or it would be captured by its first writer.
                    Context().run(thread.start)
                except Exception:  # no thread to be had: the writer hears it, the next tries again
                    self._thread = None
                    raise

    def _deliver_batches(self) -> None:
        with self._lock:
            self._thread_id = threading.get_ident()
            for sink in self._open_sinks:
                sink.deaf_to = self._thread_id
        while batch := self._queue.take():
            try:
                self._deliver(batch)
            except BaseException as error:  # logged; without this thread writers would wait
                self._log_failure(batch, error)
            finally:
                self._queue.done()

    def _log_failure(self, batch: Sequence[tuple[Tag, Line]], error: BaseException) -> None:
        # Logging waits for a handler's lock, and a writer that holds it may be waiting for
        # room, when it was called by a listener and no logger. So for this long nobody waits.
        with self._queue.unbounded():
            _logger.error(
                "deliver %r failed; the feed goes on with the next batch, %d lines are lost to it",
                self._deliver,
                len(batch),
                exc_info=error,
            )


class _FeedSink(Sink, Generic[Tag]):
    """Puts the lines of one capture on the feed's queue, none from the feed's own thread."""

    def __init__(self, feed: LineFeed[Tag], tag: Tag) -> None:
        super().__init__()
        self._feed = feed
        self._queue = feed._queue
        self._tag = tag
        self.has_lines = False

    def emit(self, line: Line) -> bool:
        if self._feed._thread is None:
            self._feed._start_thread()
        self._queue.put((self._tag, line))
        self.has_lines = True
        return self._queue.is_overfull()

    def wait_for_room(self) -> None:
        """Wait for the feed's thread, unless this is it or holds locks that it may need."""
        if self._queue.is_overfull() and not is_logging() and not self._feed.runs_this_thread():
            self._queue.wait_for_room()
