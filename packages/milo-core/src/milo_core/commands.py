"""Commands: one-shot work that a reducer asks for. Plain data; milo-effects runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Cmd:
    """Run ``fn()`` on the pool; an action it returns is dispatched, ``None`` is not.

    An exception becomes ``@@CMD_ERROR {"error", "type"}``.
    """

    fn: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Run every command at the same time, in no order."""

    cmds: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Run the commands one after the other, each result dispatched before the next starts.

    One that fails is reported as ``@@CMD_ERROR`` and the next one runs. A nested
    ``Batch`` is finished before the command behind it.
    """

    cmds: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class TickCmd:
    """Dispatch one ``@@TICK`` after ``interval`` seconds, unless the store has quit by then.

    Holds no thread. For a clock, answer each tick with the next ``TickCmd``.
    """

    interval: float


Command: TypeAlias = Cmd | Batch | Sequence | TickCmd


def compact_cmds(*cmds: Command | None) -> tuple[Command, ...]:
    """The commands that are there: ``compact_cmds(save if dirty else None, tick)``."""
    return tuple(cmd for cmd in cmds if cmd is not None)
