"""Where the text of one capture goes, and which capture this context belongs to."""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from time import monotonic

from milo_capture._lines import Line, LineAssembler, StreamName, made_line

_current: ContextVar["Sink | None"] = ContextVar("milo_capture_sink", default=None)

# Added to and discarded from by any thread (both are atomic), read only by a forked child.
_open_sinks: set["Sink"] = set()


class Sink(ABC):
    """Takes text until it is closed, and emits it as lines.

    Lines are put together per thread and stream and emitted in the order in which they
    were completed, one at a time. ``outer`` is the capture that was open where this one
    was made: whoever still writes here after ``close()`` is sent there.
    """

    def __init__(self) -> None:
        self.outer = innermost_open_sink()
        self.closed = False
        self.abandoned = False
        self.deaf_to: int | None = None
        # Re-entrant, because a signal handler or a finalizer may print while its thread
        # is in here. Held while a line is emitted, so that none is emitted after close().
        self._lock = threading.RLock()
        # Thread-local and not keyed by thread id: ids are used again, and a new thread
        # must not continue the last words of a dead one.
        self._of_this_thread = threading.local()
        self._assemblers: list[tuple[StreamName, LineAssembler]] = []
        _open_sinks.add(self)

    @abstractmethod
    def emit(self, line: Line) -> bool:
        """Pass a whole line on, and answer whether its writer should ``wait_for_room``.

        Called with the sink locked: runs no foreign code, never waits.
        """

    @abstractmethod
    def wait_for_room(self) -> None:
        """Wait while too many lines wait to be looked at. Called with nothing of ours locked."""

    def write(self, stream: StreamName, text: str) -> bool:
        """Take ``text`` and answer ``True``, or leave it to the caller and answer ``False``."""
        if get_ident() == self.deaf_to:
            return False
        crowded = False
        with self._lock:
            if self.closed:
                return False
            own = getattr(self._of_this_thread, stream, None) or self._new_assembler(stream)
            for line in own.add(text):
                crowded = self.emit(made_line(line, stream, monotonic()))
        if crowded:
            self.wait_for_room()
        return True

    def end_line(self, stream: StreamName) -> None:
        """Emit what the calling thread has begun to write to ``stream`` and not ended."""
        with self._lock:
            own: LineAssembler | None = getattr(self._of_this_thread, stream, None)
            if not self.closed and own is not None and (rest := own.take_rest()):
                self.emit(made_line(rest, stream, monotonic()))

    def close(self) -> None:
        """Emit what every thread has begun and not ended; take nothing from then on."""
        if self.closed:
            return
        with self._lock:
            try:
                for stream, assembler in self._assemblers:
                    if rest := assembler.take_rest():
                        self.emit(made_line(rest, stream, monotonic()))
            finally:
                self.closed = True
                self._assemblers.clear()
                _open_sinks.discard(self)

    def abandon(self) -> None:
        """Close without emitting anything: this is a forked child, the parent has the lines."""
        self.closed = self.abandoned = True
        self._assemblers.clear()

    def _new_assembler(self, stream: StreamName) -> LineAssembler:
        assembler = LineAssembler()
        setattr(self._of_this_thread, stream, assembler)
        self._assemblers.append((stream, assembler))
        return assembler


# The sink this context names, which may be closed by now. Asked at every write, so that one
# call less counts.
context_sink: Callable[[], Sink | None] = _current.get


def innermost_open_sink() -> Sink | None:
    """The sink that takes what is written here, or ``None`` where nothing is captured."""
    sink = _current.get()
    while sink is not None and sink.closed:
        sink = sink.outer
    return sink


def enter_sink(sink: Sink) -> None:
    """From now on, what this context writes goes to ``sink``."""
    _current.set(sink)


@contextmanager
def inside(sink: Sink) -> Iterator[None]:
    """What this context writes in the block goes to ``sink``.

    Setting the outer sink again, instead of resetting a token, also works when a
    generator or an event loop leaves the block in another context than it entered.
    """
    enter_sink(sink)
    try:
        yield
    finally:
        if _current.get() is sink:
            _current.set(sink.outer)


def _abandon_all_in_forked_child() -> None:
    # The child has neither a feed's thread, which would let its writers wait for ever, nor
    # anybody who reads a collected line: its output passes through.
    for sink in _open_sinks:
        sink.abandon()
    _open_sinks.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_abandon_all_in_forked_child)
