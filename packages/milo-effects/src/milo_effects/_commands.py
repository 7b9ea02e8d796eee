"""Commands as sagas: one runner carries out both.

Cmd        call, then put what came back
Sequence   its commands' sagas one after the other
Batch      its commands' sagas at the same time
TickCmd    wait, then put ``@@TICK``
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milo_core import Action, Batch, Cmd, Sequence, TickCmd
from milo_core.actions import CMD_ERROR, TICK
from milo_core.runtime import StorePort
from milo_effects.effects import All, Call, Delay, Put
from milo_effects.errors import SagaCancelled
from milo_effects.task import Saga


def command_sagas(command: Any, store: StorePort) -> Iterator[Saga]:
    """The sagas that together carry out ``command``: one, or one for each of a batch."""
    if isinstance(command, Batch):
        for each in command.cmds:
            yield from command_sagas(each, store)
    else:
        yield _saga(command, store)


def _saga(command: Any, store: StorePort) -> Saga:
    if isinstance(command, Cmd):
        return _run(command)
    if isinstance(command, TickCmd):
        return _tick(command, store)
    if isinstance(command, Sequence):
        return _one_by_one(command, store)
    return _refuse(command)


def _run(command: Cmd) -> Saga:
    try:
        action = yield Call(command.fn)
        if action is None:
            return
        if not isinstance(action, Action):
            raise TypeError(
                f"the command {command.fn!r} returned {action!r:.200}; "
                "a command returns an Action or None"
            )
    except (SagaCancelled, GeneratorExit):
        raise
    except BaseException as error:  # foreign code; to the reducer
        yield _report(error)
    else:
        yield Put(action)


def _tick(command: TickCmd, store: StorePort) -> Saga:
    yield Delay(command.interval)
    if not store.quit_requested:
        yield Put(Action(TICK))


def _one_by_one(command: Sequence, store: StorePort) -> Saga:
    for each in command.cmds:
        try:
            yield All(tuple(command_sagas(each, store)))
        except Exception as error:  # a reducer that refused a result; the next command runs
            yield _report(error)


def _refuse(command: object) -> Saga:
    yield _report(
        TypeError(f"{command!r:.200} is no command; use Cmd(fn), Batch, Sequence or TickCmd")
    )


def _report(error: BaseException) -> Put:
    return Put(Action(CMD_ERROR, {"error": str(error), "type": type(error).__name__}))
