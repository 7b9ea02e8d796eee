"""Where the orchestrator comes from: ``--app module:attribute``, or ``--db URL`` to look only."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from milo_durable.cli.naming import BadOption, Naming
from milo_durable.cli.text import one_line
from milo_durable.opening import InboxMessage, OutboxMessage, Saga
from milo_durable.orchestrator import SagaOrchestrator

EXPECTED = (
    "a SagaOrchestrator, or a function that takes nothing and gives one, or gives an async "
    "context manager of one as open_orchestrator(url) is"
)
URLS = "sqlite+aiosqlite:///sagas.db or postgresql+asyncpg://user@host/database"


_APP = Naming(
    option="--app",
    example="shop.sagas:orchestrator",
    expected=EXPECTED,
    fits=lambda found: isinstance(found, SagaOrchestrator),
)


def load(app: str) -> Any:
    """What ``module:attribute`` names. Raises: BadOption: it names nothing."""
    return _APP.load(app)


@asynccontextmanager
async def opened(app: str, found: Any) -> AsyncIterator[SagaOrchestrator[Any]]:
    """The orchestrator that ``found`` is or makes, as long as the block lasts.

    Raises:
        BadOption: it is and makes none, or raises.
    """
    made = await _made(app, found)
    async with AsyncExitStack() as stack:
        if isinstance(made, AbstractAsyncContextManager):
            try:
                made = await stack.enter_async_context(made)
            except Exception as cause:  # foreign code; reported in one line
                raise _APP.raised(app, cause) from cause
            yield _checked(app, made)
        else:
            orchestrator = _checked(app, made)
            stack.push_async_callback(orchestrator.engine.database.engine.dispose)
            yield orchestrator


@asynccontextmanager
async def at(url: str) -> AsyncIterator[SagaOrchestrator[Any]]:
    """The ready-made tables of a database, to look at; nothing is made there.

    Raises:
        BadOption: it cannot be opened.
    """
    engine = _engine(url)
    try:
        yield SagaOrchestrator(Saga, async_sessionmaker(engine), InboxMessage, OutboxMessage)
    finally:
        await engine.dispose()


async def _made(app: str, found: Any) -> Any:
    """What a function gives, awaited if need be; anything else as it is."""
    if isinstance(found, SagaOrchestrator | AbstractAsyncContextManager) or not callable(found):
        return found
    _APP.check_call(app, found)
    try:
        made = found()
        return await made if inspect.isawaitable(made) else made
    except (Exception, SystemExit) as cause:  # foreign code; reported in one line
        raise _APP.raised(app, cause) from cause


def _checked(app: str, made: Any) -> SagaOrchestrator[Any]:
    if not isinstance(made, SagaOrchestrator):
        raise BadOption(f"--app {app} gives {made!r:.100}; it must be {EXPECTED}")
    return made


def _engine(url: str) -> AsyncEngine:
    try:
        read = make_url(url)
        _refuse_missing_file(read)
        return create_async_engine(read)
    except (ArgumentError, InvalidRequestError, ImportError) as cause:
        raise BadOption(f"--db: {one_line(cause)}; expected a URL such as {URLS}") from cause


def _refuse_missing_file(url: URL) -> None:
    """SQLite would make an empty database of it."""
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    if is_file and not Path(str(url.database)).is_file():
        raise BadOption(f"--db: there is no file {url.database!r} in {os.getcwd()}")
