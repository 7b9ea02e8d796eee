"""``milo mcp``: show pipelines to MCP clients, and let them run them if told to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from milo._cli.errors import CommandError
from milo._cli.interrupts import exit_code_of, leave_at_once, signals_told_to
from milo._cli.options import target_arguments
from milo._cli.resolve import resolve_pipelines
from milo._cli.serving import (
    LOOPBACK,
    TOKEN_VARIABLE,
    Service,
    on_port,
    on_wire,
    refuse_unless_installed,
    say,
    timeline_server,
)
from milo_core import Action
from milo_pipeline import Pipeline, get_active_pipeline, set_active_pipeline

if TYPE_CHECKING:
    from milo_mcp import PipelineControls, Wire


@click.command()
@target_arguments
@click.option(
    "--http",
    "port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve HTTP on this port instead of stdin and stdout; 0 takes one that is free.",
)
@click.option("--host", metavar="ADDRESS", help=f"Listen on this address instead of {LOOPBACK}.")
@click.option(
    "--token",
    envvar=TOKEN_VARIABLE,
    show_envvar=True,
    metavar="TOKEN",
    help="Answer only clients that send this as a bearer token; over HTTP.",
)
@click.option("--allow-run", is_flag=True, help="Let clients run, cancel and re-run pipelines.")
def mcp(
    target: str,
    args: tuple[str, ...],
    *,
    port: int | None,
    host: str | None,
    token: str | None,
    allow_run: bool,
    debug: bool,
) -> int:
    """Serve the pipelines of TARGET to MCP clients; ARGS go to a function that makes one.

    Clients read and follow the runs of this process, and begin some with --allow-run. A TARGET
    without a name means all the pipelines that its file or module holds. Without --http one
    client is served, on stdin and stdout, until it hangs up.

    Exits with 0 when the client has hung up, 2 when it could not serve, 130 when it was
    interrupted.
    """
    _check_options(port, host)
    refuse_unless_installed()
    if port is None:
        wire = _wire()  # before the target is imported, which may print
        if wire.is_terminal:
            say("this speaks MCP on stdin and stdout; a client starts it. Ctrl-C to stop")
        controls = _controls(resolve_pipelines(target, args), allow_run=allow_run)
        server = timeline_server(controls)
        return _serve(Service(server, on_wire(server, wire), controls))
    controls = _controls(resolve_pipelines(target, args), allow_run=allow_run)
    server = timeline_server(controls)
    way = on_port(server, port, host=host or LOOPBACK, token=token)
    return _serve(Service(server, way, controls))


def _wire() -> Wire:
    from milo_mcp import Wire

    try:
        return Wire()
    except OSError as closed:
        raise CommandError(
            f"cannot serve here ({closed}); have a client start this, or add --http PORT"
        ) from closed


def _check_options(port: int | None, host: str | None) -> None:
    source = click.get_current_context().get_parameter_source("token")
    for name, is_given in (
        ("--host", host is not None),
        ("--token", source is ParameterSource.COMMANDLINE),
    ):
        if is_given and port is None:
            raise click.UsageError(f"{name} is for HTTP; add --http PORT, or leave it out")


def _controls(pipelines: Sequence[Pipeline], *, allow_run: bool) -> PipelineControls | None:
    """What clients may do; beside it, a pipeline that is the only one is shown before it runs."""
    from milo_mcp import PipelineControls

    if len(pipelines) == 1 and get_active_pipeline() is None:
        set_active_pipeline(pipelines[0].build_reducer()(None, Action("@@INIT")))
    return PipelineControls(*pipelines) if allow_run else None


def _serve(service: Service) -> int:
    """Serve until the client hangs up or a signal comes; a second one leaves at once."""
    inbox: SimpleQueue[int | None] = SimpleQueue()
    code = 0
    service.start(lambda: inbox.put(None))
    with signals_told_to(inbox.put):
        while (signum := inbox.get()) is not None:
            if code:
                leave_at_once(code)
            code = exit_code_of(signum)
            service.stop()
    service.join()
    sys.stdout.flush()
    return code
