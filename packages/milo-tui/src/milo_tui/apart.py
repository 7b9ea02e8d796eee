"""What others print while an application has the terminal, kept until it is given back."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO, TextIO


@contextmanager
def prints_kept() -> Iterator[None]:
    """In the block, what goes to stdout and stderr is kept, where they are terminals.

    By Python code, C code and child processes. It is written there when the block has been left.
    """
    with ExitStack() as stack:
        for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
            if _is_terminal(descriptor):
                stack.enter_context(_kept(descriptor, stream))
        yield


@contextmanager
def _kept(descriptor: int, stream: TextIO | None) -> Iterator[None]:
    _flush(stream)
    terminal = os.dup(descriptor)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), descriptor)
        try:
            yield
        finally:
            _flush(stream)
            os.dup2(terminal, descriptor)
            os.close(terminal)
            _copy(kept, descriptor)


def _copy(kept: BinaryIO, descriptor: int) -> None:
    kept.seek(0)
    with suppress(OSError):  # the terminal is gone
        while chunk := kept.read(1 << 16):
            while chunk:
                chunk = chunk[os.write(descriptor, chunk) :]


def _flush(stream: TextIO | None) -> None:
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()  # type: ignore[union-attr]  # there may be none


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
