"""``milo saga retry``, ``skip``, ``compensate`` and ``abort``: what operators may do to a saga."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from milo_durable.cli import objects
from milo_durable.cli.ids import find
from milo_durable.cli.options import Command, Source, app_options, id_argument, json_option
from milo_durable.cli.output import print_lines
from milo_durable.cli.words import told
from milo_durable.snapshot import SagaSnapshot
from milo_durable.summary import SagaSummary

if TYPE_CHECKING:
    from milo_durable.admin import SagaAdmin
    from milo_durable.orchestrator import SagaOrchestrator

    Change = Callable[[SagaAdmin[Any], UUID], Awaitable[SagaSnapshot]]


def change_options(command: Command) -> Command:
    """Give ``command`` the application, a saga, and ``--json``."""
    return app_options(id_argument(json_option(command)))


@click.command()
@change_options
def retry(source: Source, saga_id: str, *, as_json: bool) -> int:
    """Run the current step of saga ID again.

    It is run at once, and the saga goes on from there. The saga has to be SUSPENDED, in TIMEOUT,
    or FAILED without having been undone.
    """
    return _change(source, saga_id, lambda admin, found: admin.retry_step(found), as_json=as_json)


@click.command()
@change_options
@click.option(
    "--output",
    required=True,
    metavar="JSON",
    help="What the step is taken to have returned; its model has to take it.",
)
def skip(source: Source, saga_id: str, *, output: str, as_json: bool) -> int:
    """Go on without the current step of saga ID.

    The saga, which has to be SUSPENDED, goes on as if the step had returned the output.
    """
    given = _read(output)
    return _change(
        source, saga_id, lambda admin, found: admin.skip_step(found, given), as_json=as_json
    )


@click.command()
@change_options
def compensate(source: Source, saga_id: str, *, as_json: bool) -> int:
    """Undo what saga ID has completed, newest first."""
    return _change(
        source, saga_id, lambda admin, found: admin.compensate_step(found), as_json=as_json
    )


@click.command()
@change_options
def abort(source: Source, saga_id: str, *, as_json: bool) -> int:
    """End saga ID as FAILED; nothing is undone."""
    return _change(source, saga_id, lambda admin, found: admin.abort(found), as_json=as_json)


def _change(source: Source, saga_id: str, change: Change, *, as_json: bool) -> int:
    """Carry the change out and print where the saga stands then."""

    async def work(_: SagaOrchestrator[Any], admin: SagaAdmin[Any]) -> SagaSnapshot:
        return await change(admin, await find(admin, saga_id))

    saga = SagaSummary.of(source.call(work))
    print_lines(objects.as_json(objects.saga_object(saga)) if as_json else told(saga))
    return 0


def _read(output: str) -> Any:
    try:
        return json.loads(output)
    except ValueError as cause:
        example = """--output '{"payment_id": "by hand"}'"""
        raise click.ClickException(
            f"--output must be JSON, not {output!r}: {cause}; for instance {example}"
        ) from cause
