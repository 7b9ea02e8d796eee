"""``milo saga retry``, ``skip``, ``resume`` and more: what operators may do to a saga."""

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


step_option = click.option(
    "--step", metavar="STEP_ID", help="Which step, where several are in flight."
)


def change_options(command: Command) -> Command:
    """Give ``command`` the application, a saga, and ``--json``."""
    return app_options(id_argument(json_option(command)))


@click.command()
@change_options
@step_option
def retry(source: Source, saga_id: str, *, step: str | None, as_json: bool) -> int:
    """Run the current step of saga ID again.

    It is run at once, and the saga goes on from there. The saga has to be SUSPENDED, in TIMEOUT,
    or FAILED without having been undone.
    """
    return _change(
        source, saga_id, lambda admin, found: admin.retry_step(found, step), as_json=as_json
    )


@click.command()
@change_options
@step_option
@click.option(
    "--output",
    required=True,
    metavar="JSON",
    help="What the step is taken to have returned; its model has to take it.",
)
def skip(source: Source, saga_id: str, *, step: str | None, output: str, as_json: bool) -> int:
    """Go on without the current step of saga ID.

    The saga, which has to be SUSPENDED, goes on as if the step had returned the output.
    """
    given = _read(output)
    return _change(
        source, saga_id, lambda admin, found: admin.skip_step(found, given, step), as_json=as_json
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
@step_option
def expire(source: Source, saga_id: str, *, step: str | None, as_json: bool) -> int:
    """End the wait of saga ID for an event, as if its time had passed.

    What follows is what the step's on_timeout says: the saga is in TIMEOUT if it says nothing.
    """
    return _change(source, saga_id, lambda admin, found: admin.expire(found, step), as_json=as_json)


@click.command()
@change_options
def abort(source: Source, saga_id: str, *, as_json: bool) -> int:
    """End saga ID as FAILED; nothing is undone."""
    return _change(source, saga_id, lambda admin, found: admin.abort(found), as_json=as_json)


@click.command()
@change_options
def resume(source: Source, saga_id: str, *, as_json: bool) -> int:
    """Go on with saga ID now.

    A wait for its next attempt is cut short, and a saga whose worker has died is taken over. One
    that waits for an event, or that a worker has, is refused.
    """

    async def work(orchestrator: SagaOrchestrator[Any], admin: SagaAdmin[Any]) -> SagaSnapshot:
        return await orchestrator.resume(await find(admin, saga_id))

    return _tell(source.call(work), as_json=as_json)


def _change(source: Source, saga_id: str, change: Change, *, as_json: bool) -> int:
    """Carry the change out and print where the saga stands then."""

    async def work(_: SagaOrchestrator[Any], admin: SagaAdmin[Any]) -> SagaSnapshot:
        return await change(admin, await find(admin, saga_id))

    return _tell(source.call(work), as_json=as_json)


def _tell(saga: SagaSnapshot, *, as_json: bool) -> int:
    summary = SagaSummary.of(saga)
    print_lines(objects.as_json(objects.saga_object(summary)) if as_json else told(summary))
    return 0


def _read(output: str) -> Any:
    try:
        return json.loads(output)
    except ValueError as cause:
        example = """--output '{"payment_id": "by hand"}'"""
        raise click.ClickException(
            f"--output must be JSON, not {output!r}: {cause}; for instance {example}"
        ) from cause
