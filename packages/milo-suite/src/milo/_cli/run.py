"""``milo run``: run a pipeline and show it as the output allows."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from milo._cli.artifacts import Artifacts, artifact_options
from milo._cli.execution import Display, Run
from milo._cli.github import GitHubDisplay, is_github_actions
from milo._cli.json_lines import JsonDisplay
from milo._cli.options import target_arguments
from milo._cli.plain import PlainDisplay
from milo._cli.plan_text import table_lines
from milo._cli.resolve import resolve_pipeline
from milo._cli.run_choices import RunChoices, run_options
from milo._cli.streams import LineWriter, stdout_kept_apart
from milo_pipeline import Pipeline


@click.command()
@target_arguments
@run_options
@artifact_options
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one object a line.")
@click.option("--plain", is_flag=True, help="Print plain lines, on a terminal too.")
@click.option("--dry-run", is_flag=True, help="Say what would run and why; run nothing.")
def run(
    target: str,
    args: tuple[str, ...],
    *,
    choices: RunChoices,
    artifacts: Artifacts,
    as_json: bool,
    plain: bool,
    dry_run: bool,
    debug: bool,
) -> int:
    """Run the pipeline TARGET; ARGS go to the function that makes it.

    Exits with 0 when it completed, 1 when a phase failed, 2 when it could not run,
    130 when it was interrupted.
    """
    if as_json and plain:
        raise click.UsageError("--json and --plain exclude each other")
    if dry_run:
        return _dry_run(resolve_pipeline(target, args), choices, as_json=as_json)
    with _display(as_json=as_json, plain=plain) as display:
        pipeline = resolve_pipeline(target, args)
        options = choices.for_run(pipeline)
        artifacts.check()
        execution = Run(pipeline, display, options, artifacts)
        code = execution.execute()
        if debug and execution.result is not None:
            for error in execution.result.errors.values():
                traceback.print_exception(error)
        return code


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


@contextmanager
def _display(*, as_json: bool, plain: bool) -> Iterator[Display]:
    """The display for this output; made before the target is imported, which may print."""
    if as_json:
        with stdout_kept_apart() as stream:
            yield JsonDisplay(LineWriter(stream))
    elif is_github_actions() and not plain:
        yield GitHubDisplay(LineWriter(sys.stdout))
    elif plain or not _can_be_redrawn():
        yield PlainDisplay(LineWriter(sys.stdout))
    else:
        from milo._cli.live import LiveDisplay  # rich takes a while; plain output goes without

        yield LiveDisplay(LineWriter(sys.stdout), sys.stdout)


def _can_be_redrawn() -> bool:
    """Whether a person watches: CI services offer terminals whose output becomes a log."""
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return sys.stdout.isatty() and not in_ci and not dumb
