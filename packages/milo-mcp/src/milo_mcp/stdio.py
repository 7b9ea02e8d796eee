"""The wire: stdin and stdout of this process, out of everybody else's reach.

Imports nothing of MCP.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Final, TextIO, TypeVar

T = TypeVar("T")

_CHUNK: Final = 1 << 16


class Wire:
    """Takes stdin and stdout from the moment it is made until ``close``.

    Meanwhile whoever else reads descriptor 0 meets its end, and what is written to ``sys.stdout``
    or to descriptor 1 goes to stderr: by Python code, C code and child processes alike. A program
    that imports what may print takes its wire before that.

    Reading and writing are done by threads of their own, which nobody ever waits for: a task
    that waits for a line can be cancelled, and the process can end.

    Raises:
        OSError: there is no stdin or stdout.
    """

    def __init__(self) -> None:
        if sys.__stdin__ is None or sys.__stdout__ is None:  # its number may be another file's now
            raise OSError(errno.EBADF, "stdin or stdout is closed")
        _flush(sys.stdout)
        self._incoming, self._outgoing = os.dup(0), os.dup(1)
        self.is_terminal = os.isatty(self._incoming)
        """Whether a person is there, who may have expected something else."""
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        self._stdout: TextIO = sys.stdout
        sys.stdout = sys.stderr
        self.incoming = Lines(self._incoming)
        self.outgoing = Output(self._outgoing)

    def close(self) -> None:
        """Give both back."""
        if sys.stdout is sys.stderr:
            sys.stdout = self._stdout
        _flush(sys.stdout)
        # The two duplicates stay open: a thread may still be reading there.
        os.dup2(self._incoming, 0)
        os.dup2(self._outgoing, 1)

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Lines:
    """The lines that come from a descriptor, as text without their ends."""

    def __init__(self, descriptor: int) -> None:
        self._thread = _Thread("milo-mcp-stdin")
        self._lines = _lines(descriptor)

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        line = await self._thread.call(lambda: next(self._lines, None))
        if line is None:
            raise StopAsyncIteration
        return line.decode("utf-8", "replace")


class Output:
    """Writes text to a descriptor, all of it before the next."""

    def __init__(self, descriptor: int) -> None:
        self._thread = _Thread("milo-mcp-stdout")
        self._descriptor = descriptor

    async def write(self, text: str) -> None:
        """Write ``text``; when that has been done.

        Raises:
            ConnectionError: nobody reads any more.
        """
        await self._thread.call(lambda: _write(self._descriptor, text.encode()))

    async def flush(self) -> None:
        """Nothing: what was written is on its way."""


class _Thread:
    """Calls what may block; whoever waits for it can be cancelled."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(self, function: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def settle(outcome: T | OSError) -> None:
            if answer.done():  # cancelled
                return
            if isinstance(outcome, OSError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        def call() -> None:
            outcome: T | OSError
            try:
                outcome = function()
            except OSError as error:
                outcome = error
            with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(settle, outcome)

        self._calls.put(call)
        return await answer

    def _run(self) -> None:
        while True:
            self._calls.get()()


def _lines(descriptor: int) -> Iterator[bytes]:
    begun: list[bytes] = []  # pieces of a line whose end has not come
    while chunk := _read(descriptor):
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for piece in others:
            yield b"".join(begun)
            begun = [piece]
    if any(begun):
        yield b"".join(begun)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError:  # a terminal or a socket that is gone
        return b""


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _flush(stream: TextIO | None) -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
        stream.flush()  # type: ignore[union-attr]
