"""Running a program whose output belongs to the capture of the caller."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from time import monotonic

from milo_capture._cancelling import CancelToken, current_cancel
from milo_capture._exchange import Exchange
from milo_capture._lines import Line, LineAssembler, StreamName
from milo_capture._process import Process
from milo_capture._sink import innermost_open_sink
from milo_capture.errors import ProcessCancelled, ProcessFailed, ProcessTimeout

Argument = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """What became of a program that was run.

    ``lines`` are those of both streams in the order in which they were completed; ``stdout``
    and ``stderr`` are the text of each as it came, line ends included. ``returncode`` is
    negative for a program that a signal ended; ``elapsed`` is in seconds. ``response`` is what
    a program that got a ``request`` wrote back.
    """

    args: tuple[str, ...]
    returncode: int
    lines: list[Line] = field(repr=False)
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    elapsed: float
    response: bytes = field(default=b"", repr=False)


def run(
    args: Sequence[Argument],
    *,
    timeout: float | None = None,
    cwd: Argument | None = None,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,
    check: bool = True,
    encoding: str = "utf-8",
    errors: str = "replace",
    cancel: CancelToken | None = None,
    kill_after: float = 5.0,
    request: bytes | None = None,
) -> CompletedRun:
    r"""Run a program; what it prints is captured as if the caller printed it, while it runs.

    Where nothing is captured its output goes to ``sys.stdout`` and ``sys.stderr``. It is
    written on the calling thread, which waits. The program reads ``input``, or nothing, and
    runs in a session of its own: Ctrl-C in a terminal reaches it only through the caller.

    On a timeout, when ``cancel`` is cancelled (the token of ``cancelled_by``, if none is
    given), and on any error in the waiting thread, ``KeyboardInterrupt`` included, the
    program and all that it started in its group are sent SIGTERM, and SIGKILL as soon as the
    program has ended and its output is closed, after ``kill_after`` seconds at the latest.

    When the program ends by itself, the processes it left behind are left alone. Their output
    is waited for half a second; then they write to a broken pipe.

    A ``request`` reaches the program through a pipe of its own, for a program that is written
    to take it: ``request_pipes()`` tells it where. What it writes back is the ``response`` of
    the ``CompletedRun``. Neither is limited in size, and both move while the program prints.

    Raises:
        ProcessFailed: the exit code is not 0, and ``check`` is true.
        ProcessTimeout: it took longer than ``timeout`` seconds.
        ProcessCancelled: the token was cancelled, before or while it ran.
        ProcessNotStarted: there is no such program or folder, or it may not be run.

    >>> import sys
    >>> done = run([sys.executable, "-c", "print('built')"])
    built
    >>> done.returncode, done.stdout
    (0, 'built\n')
    """
    command = _command(args)
    feeds = input.encode(encoding) if isinstance(input, str) else input
    token = cancel or current_cancel() or CancelToken()
    output = _Output()
    begun = monotonic()
    if token.is_cancelled:
        raise ProcessCancelled(output.completed(command, -signal.SIGTERM, 0.0))
    exchange = None if request is None else Exchange(request)
    with nullcontext() if exchange is None else closing(exchange):
        process = Process(command, cwd, env, feeds, output.show, encoding, errors, exchange)
        try:
            deadline = None if timeout is None else begun + timeout
            ending = _attend(process, token, deadline, kill_after)
        finally:
            returncode = process.release()
            output.end_lines()
    response = b"" if exchange is None else exchange.response
    done = output.completed(command, returncode, monotonic() - begun, response)
    if ending is _Ending.CANCELLED:
        raise ProcessCancelled(done)
    if ending is _Ending.TIMEOUT and timeout is not None:
        raise ProcessTimeout(done, timeout)
    if check and returncode:
        raise ProcessFailed(done)
    return done


class _Ending(Enum):
    OWN = auto()
    TIMEOUT = auto()
    CANCELLED = auto()


def _attend(
    process: Process, token: CancelToken, deadline: float | None, kill_after: float
) -> _Ending:
    """Show what ``process`` prints until it has ended, and why it did; it has, whatever happens."""
    undo = token.on_cancel(process.pump.bell.ring)
    try:
        in_time = process.attend(lambda: token.is_cancelled, deadline)
        if process.has_exited:
            process.drain()
            return _Ending.OWN
        process.end_group(kill_after)
        return _Ending.CANCELLED if in_time else _Ending.TIMEOUT
    except BaseException:
        process.end_group(kill_after)
        raise
    finally:
        undo()


class _Output:
    """What a program printed: kept for the result, and written where its caller prints."""

    def __init__(self) -> None:
        self._pieces: dict[StreamName, list[str]] = {"stdout": [], "stderr": []}
        self._assemblers = {stream: LineAssembler() for stream in self._pieces}
        self._lines: list[Line] = []

    def show(self, stream: StreamName, text: str) -> None:
        self._pieces[stream].append(text)
        for line in self._assemblers[stream].add(text):
            self._lines.append(Line(line, stream, monotonic()))
        # Looked up every time, as ``print`` does; ``None`` in a windowed program.
        target = sys.stdout if stream == "stdout" else sys.stderr
        if target is not None:
            target.write(text)
            target.flush()

    def end_lines(self) -> None:
        """The program has ended, and with it a last line that it did not end."""
        sink = innermost_open_sink()
        for stream, assembler in self._assemblers.items():
            if rest := assembler.take_rest():
                self._lines.append(Line(rest, stream, monotonic()))
                if sink is not None:
                    sink.end_line(stream)

    def completed(
        self, command: tuple[str, ...], returncode: int, elapsed: float, response: bytes = b""
    ) -> CompletedRun:
        stdout, stderr = ("".join(pieces) for pieces in self._pieces.values())
        return CompletedRun(command, returncode, self._lines, stdout, stderr, elapsed, response)


def _command(args: Sequence[Argument]) -> tuple[str, ...]:
    if isinstance(args, (str, bytes, os.PathLike)):
        raise TypeError(
            f"run({args!r}): the command is one {type(args).__name__}, and no shell takes it "
            'apart. Pass a list, ["program", "argument"], or shlex.split(command).'
        )
    for place, argument in enumerate(args):
        if not isinstance(argument, (str, os.PathLike)):
            raise TypeError(
                f"run({list(args)!r}): item {place} is a {type(argument).__name__}. "
                "Every item is a str or a path; make it one with str(...)."
            )
    if not args:
        raise ValueError("run([]): the list is empty. Its first item is the program to run.")
    return tuple(os.fspath(argument) for argument in args)
