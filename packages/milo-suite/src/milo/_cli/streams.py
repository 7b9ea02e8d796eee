"""Standard output as the command needs it: encodable, survivable, or kept for JSON alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TextIO

from milo._cli.errors import CommandError


class LineWriter:
    """Writes whole lines to ``stream``, each flushed, until they can no longer be written.

    A reader that has gone away, as ``head`` does, silences it: the run goes on. Any other
    failure, such as a full disk, silences it too and is raised by ``close``. One thread at
    a time writes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._own: TextIO | None = None
        self._failure: OSError | None = None

    @property
    def stream(self) -> TextIO:
        """Where it writes to."""
        return self._stream

    def stand_apart(self) -> None:
        """From now on write by a file descriptor of its own.

        A phase that captures the file descriptor 1 would capture what is shown of it, too.
        """
        if self._own is None and _is_descriptor_1(self._stream):
            self._stream.flush()
            encoding, errors = self._stream.encoding, self._stream.errors
            self._own = open(os.dup(1), "w", encoding=encoding, errors=errors)  # noqa: SIM115
            self._stream = self._own

    def release(self) -> None:
        """Let go of the file descriptor of its own, if it has one."""
        if self._own is not None:
            with suppress(OSError):  # told by ``close``, or the reader has gone away
                self._own.close()

    @property
    def has_failed(self) -> bool:
        """Whether lines can no longer be written."""
        return self._failure is not None

    def write_lines(self, *lines: str) -> None:
        """Write the lines; harmless once writing has failed."""
        if self._failure is not None or not lines:
            return
        try:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()
        except OSError as failure:
            self._failure = failure
            discard(self._stream)

    def close(self) -> None:
        """Raise what kept lines from being written, unless it was the reader leaving.

        Raises:
            CommandError: the output is incomplete.
        """
        if self._failure is not None and not isinstance(self._failure, BrokenPipeError):
            raise CommandError(f"cannot write the output: {self._failure}") from self._failure


def make_forgiving(stream: object) -> None:
    """Let ``stream`` escape what its encoding lacks, where a strict one would raise."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def discard(stream: TextIO) -> None:
    """Send the rest of ``stream``, its unflushed part included, nowhere.

    Otherwise the interpreter would meet the broken pipe again when it flushes at exit.
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


@contextmanager
def stdout_kept_apart() -> Iterator[TextIO]:
    """The real standard output, while everybody else's goes to standard error.

    That holds for ``print``, for writes to the file descriptor and for child processes, so
    that a machine reading standard output meets only what is written to the given stream.
    """
    original, sys.stdout = sys.stdout, sys.stderr
    try:
        if _is_descriptor_1(original):
            with _descriptor_1_kept_apart(original) as kept:
                yield kept
        else:
            yield original
    finally:
        sys.stdout = original


@contextmanager
def _descriptor_1_kept_apart(stdout: TextIO) -> Iterator[TextIO]:
    stdout.flush()
    kept = open(os.dup(1), "w", encoding="utf-8", closefd=True)  # noqa: SIM115 (closed below)
    os.dup2(2, 1)
    try:
        yield kept
    finally:
        with suppress(OSError):  # reported by the writer, or the reader has gone away
            stdout.flush()
        os.dup2(kept.fileno(), 1)
        with suppress(OSError):
            kept.close()


def _is_descriptor_1(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except (OSError, ValueError):
        return False
