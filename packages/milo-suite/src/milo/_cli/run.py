"""``milo run``: run a pipeline and show it as the output allows."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict
from typing import Any

import click

from milo._cli.artifacts import Artifacts, artifact_options
from milo._cli.displays import Output, standard_output
from milo._cli.execution import Run
from milo._cli.options import target_arguments
from milo._cli.plan_text import table_lines
from milo._cli.resolve import resolve_pipeline
from milo._cli.run_choices import RunChoices, run_options
from milo._cli.serving import LOOPBACK, TOKEN_VARIABLE, served
from milo._cli.streams import LineWriter
from milo._cli.watcher import refuse_unless_installed
from milo_pipeline import Pipeline


@click.command()
@target_arguments
@run_options
@artifact_options
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one object a line.")
@click.option("--plain", is_flag=True, help="Print plain lines, on a terminal too.")
@click.option("--dry-run", is_flag=True, help="Say what would run and why; run nothing.")
@click.option("--tui", is_flag=True, help="Walk through the run with the keyboard.")
@click.option("--watch", is_flag=True, help="Run again what files affect when they change.")
@click.option(
    "--mcp",
    "mcp_port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help=f"Show the run to MCP clients, over HTTP on this port of {LOOPBACK}; 0 takes a free one.",
)
@click.option("--mcp-token", envvar=TOKEN_VARIABLE, hidden=True)
def run(
    target: str,
    args: tuple[str, ...],
    *,
    choices: RunChoices,
    artifacts: Artifacts,
    as_json: bool,
    plain: bool,
    dry_run: bool,
    tui: bool,
    watch: bool,
    mcp_port: int | None,
    mcp_token: str | None,
    debug: bool,
) -> int:
    """Run the pipeline TARGET; ARGS go to the function that makes it.

    Exits with 0 when it completed, 1 when a phase failed, 2 when it could not run,
    130 when it was interrupted. With --watch, Ctrl-C between two runs ends it with the exit
    code of the last one. With --mcp, clients that have subscribed to a timeline have three
    seconds at the end to read it; MILO_MCP_TOKEN in the environment is asked of all of them.
    """
    if as_json and plain:
        raise click.UsageError("--json and --plain exclude each other")
    if tui and (as_json or plain or watch or dry_run):
        raise click.UsageError("--tui excludes --json, --plain, --watch and --dry-run")
    if dry_run and mcp_port is not None:
        raise click.UsageError("--dry-run runs nothing that --mcp could show; choose one")
    if dry_run and watch:
        raise click.UsageError("--dry-run runs nothing that --watch could run again; choose one")
    if dry_run:
        return _dry_run(resolve_pipeline(target, args), choices, as_json=as_json)
    if watch:
        refuse_unless_installed()
    with (
        standard_output(as_json=as_json, plain=plain) as output,
        served(mcp_port, mcp_token),
    ):
        if watch:
            from milo._cli.watch import Options, Watch

            return Watch(target, args, output, Options(choices, artifacts, debug)).run()
        pipeline = resolve_pipeline(target, args)
        options = choices.for_run(pipeline)
        artifacts.check()
        execution = _run(pipeline, output, options, artifacts, tui=tui)
        code = execution.execute()
        if debug and execution.result is not None:
            for error in execution.result.errors.values():
                traceback.print_exception(error)
        return code


def _run(
    pipeline: Pipeline, output: Output, options: dict[str, Any], artifacts: Artifacts, *, tui: bool
) -> Run:
    if not tui:
        return Run(pipeline, output.display(pipeline), options, artifacts)
    from milo._cli.interactive import ClosingDisplay, InteractiveRun  # prompt_toolkit takes a while

    return InteractiveRun(pipeline, output.display(pipeline, ClosingDisplay), options, artifacts)


def _dry_run(pipeline: Pipeline, choices: RunChoices, *, as_json: bool) -> int:
    planned = pipeline.dry_run(**choices.for_plan(pipeline))
    writer = LineWriter(sys.stdout)
    if as_json:
        writer.write_lines(*[json.dumps(asdict(each), ensure_ascii=False) for each in planned])
    else:
        rows = [("run" if each.runs else "skip", each.name, each.reason) for each in planned]
        writer.write_lines(*table_lines(rows))
    writer.close()
    return 0
