"""What is written to file descriptors 1 and 2, by whomever, in the capture of one block."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import copy_context
from time import monotonic
from typing import Any

from milo_capture._lines import StreamName
from milo_capture._pumping import Pump
from milo_capture._streams import StreamProxy, proxies_in_use
from milo_capture.errors import CaptureError

_NUMBERS: dict[StreamName, int] = {"stdout": 1, "stderr": 2}

# Held by the block that has the file descriptors, of which a process has only one pair.
_taken = threading.Lock()


def redirected_fds(wanted: bool) -> AbstractContextManager[None]:
    """In the block, what is written to the file descriptors 1 and 2 belongs to its capture.

    That is what C code, child processes and ``os.write`` write, of the whole process: from
    outside it cannot be told who wrote it. What Python code writes to ``sys.stdout`` and
    ``sys.stderr`` goes where it went before, to the capture it runs in or past all of them.

    Raises:
        CaptureError: another block has them, or this is Windows.
    """
    return _redirected() if wanted else nullcontext()


@contextmanager
def _redirected() -> Iterator[None]:
    if sys.platform == "win32":
        raise CaptureError(
            "fds=True is not to be had on Windows. Leave it out: print is captured without it, "
            "and programs are if their output is printed."
        )
    if not _taken.acquire(blocking=False):
        raise CaptureError(
            "fds=True inside or beside another block with fds=True: a process has only one "
            "pair of file descriptors 1 and 2. Run one after the other, or in processes of "
            "their own; the output of programs is captured by milo_capture.run without it."
        )
    with ExitStack() as undo:
        undo.callback(_taken.release)
        _flush()
        detours = {stream: Detour(number) for stream, number in _NUMBERS.items()}
        for detour in detours.values():
            undo.callback(detour.end)
        # Around the reading: text that passes through while the file descriptors lead into
        # the pipes must not be read.
        undo.enter_context(_python_streams_on(detours))
        undo.enter_context(_reading(detours))
        yield


class Detour:
    """Writes where a file descriptor led when this was made; in the end puts it back."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._real = os.dup(number)
        self._is_over = False
        # So that nobody writes to a file descriptor that has another owner by now.
        self._lock = threading.RLock()

    def write(self, text: str, encoding: str = "utf-8", errors: str = "replace") -> int:
        """Write all of ``text`` at once."""
        data = memoryview(text.encode(encoding, errors))
        with self._lock:
            number = self._number if self._is_over else self._real
            while data:
                data = data[os.write(number, data) :]
        return len(text)

    def redirect(self, pipe: int) -> None:
        """From now on the file descriptor leads into ``pipe``."""
        os.dup2(pipe, self._number)

    def restore(self) -> None:
        """From now on the file descriptor leads where it led."""
        os.dup2(self._real, self._number)

    def end(self) -> None:
        """Writing goes on, through the file descriptor that has been restored."""
        with self._lock:
            self._is_over = True
            os.close(self._real)


class DetouredStream:
    """A stream of Python whose text takes the detour; all else is the stream itself."""

    def __init__(self, stream: Any, detour: Detour) -> None:
        self._stream = stream
        self._detour = detour

    def write(self, text: str, /) -> int:
        return self._detour.write(text, self._stream.encoding, self._stream.errors)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _python_streams_on(detours: dict[StreamName, Detour]) -> Iterator[None]:
    """Text that passes through the proxies does not pass through the file descriptors.

    It is not the block's, and if a feed's ``deliver`` prints, it would be delivered again.
    """
    by_number = {_NUMBERS[stream]: detour for stream, detour in detours.items()}
    with ExitStack() as undo:
        for proxy in proxies_in_use():
            if (detour := by_number.get(proxy.number_beneath() or 0)) is not None:
                undo.enter_context(proxy.passing_to(DetouredStream(proxy.beneath, detour)))
        yield


@contextmanager
def _reading(detours: dict[StreamName, Detour]) -> Iterator[None]:
    """A thread reads what is written to the file descriptors, until all of it has been read."""
    proxies = {stream: StreamProxy(stream, detour) for stream, detour in detours.items()}
    pump = Pump(lambda stream, text: proxies[stream].write(text))
    is_over = threading.Event()
    with ExitStack() as undo:
        undo.callback(pump.close)
        for stream, detour in detours.items():
            _lead_into(pump, stream, detour, undo)
        thread = threading.Thread(
            target=copy_context().run,
            args=(_read, pump, is_over.is_set),
            name="milo-capture-fds",
            daemon=True,
        )
        thread.start()
        undo.callback(thread.join)
        undo.callback(pump.bell.ring)
        undo.callback(is_over.set)
        for detour in detours.values():
            undo.callback(detour.restore)
        undo.callback(_flush)
        yield


def _lead_into(pump: Pump, stream: StreamName, detour: Detour, undo: ExitStack) -> None:
    reader, writer = os.pipe()
    undo.callback(os.close, reader)
    try:
        _enlarge(writer)
        pump.read(reader, stream, "utf-8", "replace")
        undo.callback(detour.restore)
        detour.redirect(writer)
    finally:
        os.close(writer)


def _read(pump: Pump, is_over: Callable[[], bool]) -> None:
    pump.attend(is_over, None)
    # What is left of the block. More comes from children that outlive it, and is not its.
    pump.attend(lambda: pump.has_ended, monotonic())


def _enlarge(pipe: int) -> None:
    # C code that does not let other threads run writes this much without a reader.
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _flush() -> None:
    """Whatever has been written so far leaves the buffers, of Python and of C."""
    import ctypes  # slow to load, and needed by few

    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.closed:
            stream.flush()
    ctypes.CDLL(None).fflush(None)
