"""``--app module:attribute``: what it may name, and what is said of all else."""

import asyncio
import os
import sys

import pytest
from click import ClickException
from click.exceptions import UsageError

from milo_durable.cli.app import at, load, opened
from milo_durable.cli.options import Source

SHOP = """
    from contextlib import asynccontextmanager
    from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
    from milo_durable import SagaOrchestrator, open_orchestrator
    from milo_durable.opening import Saga

    URL = "sqlite+aiosqlite://"
    closed = []

    def plain():
        return SagaOrchestrator(Saga, async_sessionmaker(create_async_engine(URL)))

    async def later():
        return plain()

    def opening():
        return open_orchestrator(URL)

    async def opening_later():
        return open_orchestrator(URL)

    @asynccontextmanager
    async def with_an_end():
        yield plain()
        closed.append(True)

    class Settings:
        orchestrator = plain()

    a_manager = open_orchestrator(URL)
    number = 7
    def needs(url, *, timeout): ...
    def gives_nothing(): ...
    def raises():
        raise LookupError("no\\n\\x1b[31msettings")
    @asynccontextmanager
    async def does_not_open():
        raise LookupError("no settings")
        yield
    def leaves():
        raise SystemExit("no settings")
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The module ``app_shop``, in the current folder."""
    (tmp_path / "app_shop.py").write_text("\n".join(line[4:] for line in SHOP.splitlines()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("app_")]:
        del sys.modules[name]


def used(app):
    """The kind of what is open while ``app`` is."""

    async def whole():
        async with opened(app, load(app)) as orchestrator:
            return type(orchestrator).__name__

    return asyncio.run(whole())


@pytest.mark.parametrize(
    "name",
    [
        *("plain", "later", "opening", "opening_later", "with_an_end", "a_manager"),
        "Settings.orchestrator",
    ],
)
def test_what_is_or_gives_an_orchestrator(shop, name):
    """Itself, a function that makes one, plain or async, and what opens one."""
    assert used(f"app_shop:{name}") == "SagaOrchestrator"


def test_what_was_opened_is_closed(shop):
    """The end of a context manager is come to."""
    used("app_shop:with_an_end")
    assert sys.modules["app_shop"].closed == [True]


def test_a_module_in_a_package_is_found_from_the_current_folder(shop):
    """As with ``python -m``."""
    package = shop / "app_package"
    package.mkdir()
    (package / "sagas.py").write_text("from app_shop import plain\n")
    assert used("app_package.sagas:plain") == "SagaOrchestrator"


EXPECTED = "it must be a SagaOrchestrator, or a function that takes nothing and gives one, or"
MISTAKES = [
    ("app_shop", "--app must be module:attribute, such as shop.sagas:orchestrator"),
    ("", "not ''"),
    ("app_shop:", "not 'app_shop:'"),
    (":plain", "not ':plain'"),
    ("app_shop:a-b", "not 'app_shop:a-b'"),
    ("app_shop.py:plain", "not 'app_shop.py:plain'; a file is named as a module, without .py"),
    ("./app_shop:plain", "a file is named as a module"),
    ("app_nothing:plain", "no module named 'app_nothing' (looked in "),
    ("app_shop.more:plain", "no module named 'app_shop.more'"),
    ("app_shop:plian", "app_shop has no 'plian'; did you mean plain?"),
    ("app_shop:Settings.sagas", "Settings has no 'sagas'; did you mean orchestrator?"),
    ("app_shop:zzzzzz", f"app_shop has no 'zzzzzz'; {EXPECTED}"),
    ("app_shop:number", f"gives 7; {EXPECTED}"),
    ("app_shop:gives_nothing", f"gives None; {EXPECTED}"),
    ("app_shop:needs", f"missing a required argument: 'url'; {EXPECTED}"),
    ("app_shop:raises", "app_shop:raises: LookupError: no settings (app_shop.py:35)"),
    ("app_shop:does_not_open", "LookupError: no settings (app_shop.py:38)"),
    ("app_shop:leaves", "SystemExit: no settings (app_shop.py:41)"),
    ("app_broken:plain", "ZeroDivisionError: division by zero (app_broken.py:1)"),
    ("app_imports:plain", "ModuleNotFoundError: No module named 'app_missing' (app_imports.py:1)"),
    ("app_syntax:plain", "SyntaxError: "),
]


@pytest.mark.parametrize(("app", "message"), MISTAKES, ids=[app for app, _ in MISTAKES])
def test_what_gives_none(shop, app, message):
    """It is said what was given, what is expected, and where the application raised."""
    (shop / "app_broken.py").write_text("1 / 0\n")
    (shop / "app_imports.py").write_text("import app_missing\n")
    (shop / "app_syntax.py").write_text("plain =\n")
    with pytest.raises(ClickException) as refused:
        used(app)
    assert message in refused.value.message
    assert refused.value.message.startswith("--app ")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense:secret", "expected a URL such as sqlite+aiosqlite:///sagas.db"),
        ("sqlite:///sagas.db", "there is no file 'sagas.db' in "),
        ("mysql+nothing://u:secret@host/db", "expected a URL such as"),
        ("postgresql+psycopg2://u:secret@host/db", "expected a URL such as"),
    ],
)
def test_a_database_that_cannot_be_opened(shop, url, message):
    """It is said what is expected; a password in the URL is not repeated."""

    async def whole():
        async with at(url):
            pass

    with pytest.raises(ClickException) as refused:
        asyncio.run(whole())
    assert message in refused.value.message
    assert "secret" not in refused.value.message
    assert os.listdir(shop) == ["app_shop.py"]


@pytest.mark.parametrize("source", [Source(None, None), Source("app_shop:plain", "sqlite://")])
def test_either_an_application_or_a_database(shop, source):
    """Neither and both are refused."""
    with pytest.raises(UsageError, match="give either --app module:orchestrator, or --db URL"):
        source.opening()
