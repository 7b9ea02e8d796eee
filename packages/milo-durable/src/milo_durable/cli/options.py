"""What the commands share: where the orchestrator comes from, which saga, and in which form."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:  # what stands on the database is imported when a command runs
    from milo_durable.admin import SagaAdmin
    from milo_durable.cli.calls import Opened
    from milo_durable.orchestrator import SagaOrchestrator

T = TypeVar("T")
Command = Callable[..., int]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
id_argument = click.argument("saga_id", metavar="ID")


@dataclass(frozen=True, slots=True)
class Source:
    """What the command line says of the orchestrator."""

    app: str | None
    db: str | None = None

    def call(self, work: Callable[[SagaOrchestrator[Any], SagaAdmin[Any]], Awaitable[T]]) -> T:
        """What ``work`` returns, given that orchestrator and its admin.

        Standard output is the command's own: what the application prints goes to standard error.
        """
        from milo_durable.admin import SagaAdmin
        from milo_durable.cli.calls import run, stdout_kept_apart

        with stdout_kept_apart():
            return run(self.opening(), lambda found: work(found, SagaAdmin[Any](found.engine)))

    def opening(self) -> Opened:
        """The way to open it. Imports the application.

        Raises:
            ClickException: it cannot be.
        """
        from milo_durable.cli import app as apps

        if self.app is not None and self.db is None:
            return functools.partial(apps.opened, self.app, apps.load(self.app))
        if self.db is not None and self.app is None:
            return functools.partial(apps.at, self.db)
        raise click.UsageError(
            "give either --app module:orchestrator, or --db URL to look at the ready-made tables"
        )


def app_options(command: Command) -> Command:
    """Give ``command`` the application, as ``source``, and ``--debug``."""
    return _app_option(_with_source(command), required=True)


def looking_options(command: Command) -> Command:
    """As ``app_options``, and a database will do."""
    decorated = click.option(
        "--db",
        metavar="URL",
        help="A database with the ready-made tables, to look at without an application.",
    )(_with_source(command))
    return _app_option(decorated, required=False)


def _app_option(command: Command, *, required: bool) -> Command:
    return click.option(
        "--app",
        metavar="MODULE:NAME",
        required=required,
        help="The orchestrator, or a function that makes or opens one.",
    )(command)


def _with_source(command: Command) -> Command:
    @functools.wraps(command)
    def given(
        *args: Any, app: str | None, debug: bool, db: str | None = None, **options: Any
    ) -> int:
        from milo_durable.cli.calls import errors_told

        with errors_told(debug=debug):
            return command(*args, source=Source(app, db), **options)

    return click.option("--debug", is_flag=True, help="Show tracebacks of errors.")(given)
