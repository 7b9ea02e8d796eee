"""An async call made by a command, and what goes wrong with it as a message and an exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, redirect_stdout
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import click
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from milo_durable.admin import SagaAdmin
from milo_durable.cli.output import log_to_stderr
from milo_durable.cli.text import one_line
from milo_durable.errors import (
    ActiveSagaAlreadyExistsError,
    SagaDefinitionError,
    SagaError,
    SagaNotFoundError,
    SagaStateError,
)
from milo_durable.orchestrator import SagaOrchestrator

T = TypeVar("T")
Opened = Callable[[], AbstractAsyncContextManager[SagaOrchestrator[Any]]]

NOT_DONE = 1
"""The exit code when what was asked for is in order, and the sagas or the database refuse it."""
_MOST_NAMED = 5


class NoSuchSagaError(SagaError):
    """No id begins as was said."""


_REFUSALS = (
    *(SagaStateError, SagaNotFoundError, ActiveSagaAlreadyExistsError, NoSuchSagaError),
    *(SQLAlchemyError, OSError),
)


def run(
    opened: Opened,
    work: Callable[[SagaOrchestrator[Any]], Awaitable[T]],
    *,
    log_level: int = logging.WARNING,
) -> T:
    """What ``work`` returns, given the orchestrator that is open meanwhile."""

    async def whole() -> T:
        async with opened() as orchestrator:
            log_to_stderr(log_level)  # now the application has seen to it, if it does
            return await work(orchestrator)

    return asyncio.run(whole())


@contextmanager
def errors_told(*, debug: bool) -> Iterator[None]:
    """Say in one line what went wrong; with ``debug`` after the traceback.

    Raises:
        ClickException: it was asked for in a wrong way; exit code 2.
        Exit: it was refused, and that has been said; exit code 1.
    """
    try:
        yield
    except (click.ClickException, SagaError, *_REFUSALS) as error:
        if debug:
            traceback.print_exception(error.__cause__ or error)
        if isinstance(error, click.ClickException):
            raise
        if not isinstance(error, _REFUSALS):
            raise click.ClickException(str(error)) from error
        _refuse(error)


async def find(admin: SagaAdmin[Any], text: str) -> UUID:
    """The id that ``text`` is, or that alone begins with it.

    Raises:
        ClickException: it is none, or several begin so.
        NoSuchSagaError: none begins so.
    """
    try:
        return UUID(text)
    except ValueError:
        pass
    try:
        found = await admin.list_sagas(id_prefix=text, limit=_MOST_NAMED + 1)
    except SagaDefinitionError as cause:
        raise click.ClickException(
            f"ID must be a saga's id, or how it begins, such as 3f2a9c1e, not {text!r}"
        ) from cause
    if not found:
        raise NoSuchSagaError(f"there is no saga whose id begins with {text}; see milo saga list")
    if len(found) > 1:
        few = ", ".join(str(each.id) for each in found[:_MOST_NAMED])
        more = " and more" if len(found) > _MOST_NAMED else ""
        raise click.ClickException(f"{text} begins several ids: {few}{more}; give more of it")
    return found[0].id


@contextmanager
def stdout_kept_apart() -> Iterator[None]:
    """Have what others write to standard output go to standard error, also child processes."""
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        stdout.flush()  # somebody may have kept it
        os.dup2(kept, 1)
        os.close(kept)


def _refuse(error: BaseException) -> NoReturn:
    message: object = error
    if isinstance(error, DBAPIError):
        message = f"the database refuses: {error.orig}"  # without the statement
    elif isinstance(error, SQLAlchemyError | OSError):
        message = f"the database does not answer: {error}"
    click.echo(f"milo: error: {one_line(message)}", err=True)
    raise click.exceptions.Exit(NOT_DONE) from error
