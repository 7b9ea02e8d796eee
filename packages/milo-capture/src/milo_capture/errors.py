"""What goes wrong.

CaptureError                a capture or a feed was used in a way that cannot work
├── FeedClosedError         a capture was opened on a feed that has been closed
├── ProcessNotStarted       there is no such program or folder, or it may not be run
└── ProcessError            a program that was run did not end well
    ├── ProcessFailed       its exit code is not 0
    ├── ProcessTimeout      it took too long and was ended
    └── ProcessCancelled    somebody cancelled it and it was ended
"""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milo_capture._run import CompletedRun

_LAST_LINES = 20


class CaptureError(RuntimeError):
    """A capture, a feed or a program cannot do what was asked; the message says what to do."""


class FeedClosedError(CaptureError):
    """``LineFeed.capture`` was called after ``close()``; ``tag`` is the tag it was given."""

    def __init__(self, tag: object) -> None:
        super().__init__(
            f"capture({tag!r}) on a LineFeed that is closed: its thread has ended and could "
            "deliver no line. Make a new LineFeed, or close this one later."
        )
        self.tag = tag


class ProcessNotStarted(CaptureError):
    """The system refused to start ``command`` in folder ``cwd``; ``cause`` is its reason."""

    # What the classes from here on are given is what ``args`` holds, so they can be pickled
    # and come out of a process pool.
    def __init__(self, command: Sequence[str], cwd: str | None, cause: OSError) -> None:
        super().__init__(command, cwd, cause)
        self.command = command
        self.cwd = cwd
        self.cause = cause

    def __str__(self) -> str:
        program = self.command[0]
        reason = self.cause.strerror or str(self.cause)
        if self.cwd is not None and self.cause.filename == self.cwd != program:
            return f"{program!r} cannot be run in the folder {self.cwd!r}: {reason}."
        if isinstance(self.cause, FileNotFoundError):
            return (
                f"program {program!r} was not found. Give a program that is on PATH, or the "
                "whole path of one; a script needs an interpreter that exists."
            )
        return f"program {program!r} cannot be run: {reason}."


class ProcessError(CaptureError):
    """A program did not end well; ``completed`` is what became of it, with all of its output."""

    def __init__(self, completed: "CompletedRun", *facts: float) -> None:
        super().__init__(completed, *facts)
        self.completed = completed

    @property
    def command(self) -> Sequence[str]:
        """The program and its arguments."""
        return self.completed.args

    @property
    def returncode(self) -> int:
        """The exit code, negative if a signal ended it."""
        return self.completed.returncode

    def __str__(self) -> str:
        lines = self.completed.lines
        said = "".join(f"\n    {line.text}" for line in lines[-_LAST_LINES:])
        if not said:
            return f"{shlex.join(self.command)}: {self._what_happened()}, without any output."
        which = "Its output" if len(lines) <= _LAST_LINES else f"The last {_LAST_LINES} lines"
        return f"{shlex.join(self.command)}: {self._what_happened()}. {which}:{said}"

    def _what_happened(self) -> str:
        raise NotImplementedError


class ProcessFailed(ProcessError):
    """A program ended with an exit code other than 0."""

    def _what_happened(self) -> str:
        if self.returncode < 0:
            return f"ended by signal {-self.returncode}"
        return f"exit code {self.returncode}"


class ProcessTimeout(ProcessError):
    """A program took longer than ``seconds`` and was ended, with its group."""

    def __init__(self, completed: "CompletedRun", seconds: float) -> None:
        super().__init__(completed, seconds)
        self.seconds = seconds

    def _what_happened(self) -> str:
        return f"ended after {self.seconds:g} seconds, its timeout"


class ProcessCancelled(ProcessError):
    """A program was cancelled and ended, with its group; or not started at all."""

    def _what_happened(self) -> str:
        return "cancelled"
