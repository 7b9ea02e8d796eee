"""``milo saga list`` and ``milo saga show``: looking, without changing anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from milo_durable.cli import objects
from milo_durable.cli.ids import find
from milo_durable.cli.options import Source, id_argument, json_option, looking_options
from milo_durable.cli.output import is_terminal, print_lines, table
from milo_durable.cli.text import moment, one_line
from milo_durable.cli.words import why
from milo_durable.errors import UnknownSagaError
from milo_durable.status import SagaStatus
from milo_durable.summary import SagaSummary

if TYPE_CHECKING:
    from milo_durable.admin import SagaAdmin
    from milo_durable.definition import SagaDefinition
    from milo_durable.orchestrator import SagaOrchestrator
    from milo_durable.snapshot import SagaSnapshot

_COLUMNS: Final = ("ID", "STATUS", "NAME", "AGGREGATION", "STARTED (UTC)", "WHY")
_SHORTEST_ID: Final = 8


@click.command("list")
@looking_options
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(list(map(str, SagaStatus)), case_sensitive=False),
    help="Only those in this status; may be given several times.",
)
@click.option("--name", help="Only sagas of this name.")
@click.option("--aggregation", metavar="ID", help="Only those of this aggregation id.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many at most.",
)
@json_option
def list_(
    source: Source,
    *,
    status: tuple[str, ...],
    name: str | None,
    aggregation: str | None,
    limit: int,
    as_json: bool,
) -> int:
    """List sagas, those started last first."""

    async def work(_: SagaOrchestrator[Any], admin: SagaAdmin[Any]) -> list[SagaSummary]:
        return await admin.list_sagas(
            status=[SagaStatus(each) for each in status] or None,
            name=name,
            aggregation_id=aggregation,
            limit=limit,
        )

    sagas = source.call(work)
    if as_json:
        print_lines(objects.as_json(objects.list_object(sagas)))
    else:
        print_lines(*_listed(sagas))
    return 0


@click.command()
@looking_options
@id_argument
@json_option
def show(source: Source, saga_id: str, *, as_json: bool) -> int:
    """Show saga ID, its steps and its history."""

    async def work(
        orchestrator: SagaOrchestrator[Any], admin: SagaAdmin[Any]
    ) -> tuple[SagaSnapshot, SagaDefinition | None]:
        saga = await admin.get_saga(await find(admin, saga_id))
        try:
            return saga, orchestrator.engine.definitions.of(saga)
        except UnknownSagaError:  # its history knows the steps that were run
            return saga, None

    from milo_durable.cli.showing import shown
    from milo_durable.cli.timeline import steps_of

    saga, definition = source.call(work)
    steps = steps_of(saga, definition)
    if as_json:
        print_lines(objects.as_json(objects.show_object(saga, steps)))
    else:
        print_lines(*shown(saga, steps))
    return 0


def _listed(sagas: Sequence[SagaSummary]) -> list[str]:
    if not sagas:
        return ["no sagas"]
    width = _telling_width(sagas) if is_terminal() else None
    rows = [
        (
            str(saga.id)[:width],
            str(saga.status),
            one_line(saga.saga_name),
            one_line(saga.aggregation_id),
            moment(saga.created_at),
            why(saga),
        )
        for saga in sagas
    ]
    return table(rows, _COLUMNS)


def _telling_width(sagas: Sequence[SagaSummary]) -> int:
    """How much of the ids tells these sagas apart."""
    ids = [str(saga.id) for saga in sagas]
    return next(
        width
        for width in range(_SHORTEST_ID, len(ids[0]) + 1)
        if len({each[:width] for each in ids}) == len(ids)
    )
