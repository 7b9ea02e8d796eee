"""Where the orchestrator comes from: ``--app module:attribute``, or ``--db URL`` to look only."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from milo_durable.cli.text import one_line
from milo_durable.opening import InboxMessage, OutboxMessage, Saga
from milo_durable.orchestrator import SagaOrchestrator

EXPECTED = (
    "a SagaOrchestrator, or a function that takes nothing and gives one, or gives an async "
    "context manager of one as open_orchestrator(url) is"
)
URLS = "sqlite+aiosqlite:///sagas.db or postgresql+asyncpg://user@host/database"


class BadApp(click.ClickException):
    """``--app`` or ``--db`` leads to no orchestrator; what was given and what is expected."""


def load(app: str) -> Any:
    """What ``module:attribute`` names; the module is also looked for in the current folder.

    Raises:
        BadApp: it names nothing.
    """
    name, _, attribute = app.partition(":")
    is_file = name.endswith(".py") or os.sep in name
    if is_file or not all(part.isidentifier() for part in f"{name}.{attribute}".split(".")):
        hint = "; a file is named as a module, without .py" if is_file else ""
        raise BadApp(
            f"--app must be module:attribute, such as shop.sagas:orchestrator, not {app!r}{hint}"
        )
    found: Any = _import(app, name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BadApp(f"--app {app}: {_nothing_there(found, part)}")
        found = getattr(found, part)
    return found


@asynccontextmanager
async def opened(app: str, found: Any) -> AsyncIterator[SagaOrchestrator[Any]]:
    """The orchestrator that ``found`` is or makes, as long as the block lasts.

    Raises:
        BadApp: it is and makes none, or raises.
    """
    made = await _made(app, found)
    async with AsyncExitStack() as stack:
        if isinstance(made, AbstractAsyncContextManager):
            try:
                made = await stack.enter_async_context(made)
            except Exception as cause:  # foreign code; reported in one line
                raise _raised(app, cause) from cause
            yield _checked(app, made)
        else:
            orchestrator = _checked(app, made)
            stack.push_async_callback(orchestrator.engine.database.engine.dispose)
            yield orchestrator


@asynccontextmanager
async def at(url: str) -> AsyncIterator[SagaOrchestrator[Any]]:
    """The ready-made tables of a database, to look at; nothing is made there.

    Raises:
        BadApp: it cannot be opened.
    """
    engine = _engine(url)
    try:
        yield SagaOrchestrator(Saga, async_sessionmaker(engine), InboxMessage, OutboxMessage)
    finally:
        await engine.dispose()


def _import(app: str, name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
            raise _raised(app, missing) from missing
        raise BadApp(
            f"--app {app}: no module named {missing.name!r} (looked in {os.getcwd()} and among "
            "the installed packages)"
        ) from missing
    except (Exception, SystemExit) as cause:  # foreign code; reported in one line
        raise _raised(app, cause) from cause


def _nothing_there(found: Any, name: str) -> str:
    where = getattr(found, "__name__", type(found).__name__)
    public = [each for each in dir(found) if not each.startswith("_")]
    made = [each for each in public if isinstance(getattr(found, each), SagaOrchestrator)]
    close = made or get_close_matches(name, public, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; it must be {EXPECTED}"
    return f"{where} has no {name!r}{hint}"


async def _made(app: str, found: Any) -> Any:
    """What a function gives, awaited if need be; anything else as it is."""
    if isinstance(found, SagaOrchestrator | AbstractAsyncContextManager) or not callable(found):
        return found
    try:
        inspect.signature(found).bind()
    except TypeError as mismatch:
        raise BadApp(f"--app {app}: {mismatch}; it must be {EXPECTED}") from mismatch
    except ValueError:  # some builtins have no signature; the call itself will tell
        pass
    try:
        made = found()
        return await made if inspect.isawaitable(made) else made
    except (Exception, SystemExit) as cause:  # foreign code; reported in one line
        raise _raised(app, cause) from cause


def _checked(app: str, made: Any) -> SagaOrchestrator[Any]:
    if not isinstance(made, SagaOrchestrator):
        raise BadApp(f"--app {app} gives {made!r:.100}; it must be {EXPECTED}")
    return made


def _raised(app: str, cause: BaseException) -> BadApp:
    """Names the error and the deepest line that is neither Python's nor an installed package's."""
    frames = [
        frame
        for frame in traceback.extract_tb(cause.__traceback__)
        if not frame.filename.startswith("<") and _is_own(Path(frame.filename))
    ]
    where = f" ({os.path.relpath(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return BadApp(f"--app {app}: {type(cause).__name__}: {one_line(cause)}{where}")


def _is_own(file: Path) -> bool:
    installed = (Path(os.__file__).parent, Path(__file__).parents[1])
    return "site-packages" not in file.parts and not any(map(file.is_relative_to, installed))


def _engine(url: str) -> AsyncEngine:
    try:
        read = make_url(url)
        _refuse_missing_file(read)
        return create_async_engine(read)
    except (ArgumentError, InvalidRequestError, ImportError) as cause:
        raise BadApp(f"--db: {one_line(cause)}; expected a URL such as {URLS}") from cause


def _refuse_missing_file(url: URL) -> None:
    """SQLite would make an empty database of it."""
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    if is_file and not Path(str(url.database)).is_file():
        raise BadApp(f"--db: there is no file {url.database!r} in {os.getcwd()}")
