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

import click
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from milo_durable.cli.ids import NoSuchSagaError
from milo_durable.cli.output import log_to_stderr
from milo_durable.cli.text import one_line
from milo_durable.errors import (
    ActiveSagaAlreadyExistsError,
    SagaError,
    SagaNotFoundError,
    SagaStateError,
)
from milo_durable.orchestrator import SagaOrchestrator

T = TypeVar("T")
Opened = Callable[[], AbstractAsyncContextManager[SagaOrchestrator[Any]]]

NOT_DONE = 1
"""The exit code when what was asked for is in order, and the sagas or the database refuse it."""

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
