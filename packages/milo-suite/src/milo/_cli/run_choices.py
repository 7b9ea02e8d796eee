"""The options of ``milo run`` that decide what of a pipeline runs, and how."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from milo_pipeline import Pipeline
from milo_pipeline.params import read


@dataclass(frozen=True, slots=True)
class RunChoices:
    """What the command line says of a run."""

    params: Mapping[str, str]
    only: tuple[str, ...]
    start_at: str | None
    skip: tuple[str, ...]
    keep_going: bool
    checkpoint: str | None
    cache: str | None
    force: bool
    max_workers: int | None

    def for_plan(self, pipeline: Pipeline) -> dict[str, Any]:
        """The options of ``Pipeline.dry_run``.

        Raises:
            ParameterError: a parameter that the pipeline does not have, or cannot read.
        """
        return {
            "params": read(pipeline.params, self.params),
            "only": self.only or None,
            "start_at": self.start_at,
            "skip": self.skip,
        }

    def for_run(self, pipeline: Pipeline) -> dict[str, Any]:
        """The options of ``Pipeline.run``; raises as ``for_plan``."""
        return {
            **self.for_plan(pipeline),
            "keep_going": self.keep_going or None,
            "checkpoint": self.checkpoint,
            "cache": True if self.cache is None else self.cache,
            "force": self.force,
            "max_workers": self.max_workers,
        }


def run_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` the options, and call it with ``choices``."""

    @functools.wraps(command)
    def chosen(
        *args: Any,
        params: dict[str, str],
        only: tuple[str, ...],
        start_at: str | None,
        skip: tuple[str, ...],
        keep_going: bool,
        checkpoint: str | None,
        cache: str | None,
        force: bool,
        max_workers: int | None,
        **kwargs: Any,
    ) -> int:
        choices = RunChoices(
            params, only, start_at, skip, keep_going, checkpoint, cache, force, max_workers
        )
        return command(*args, **{**kwargs, "choices": choices})

    for option in reversed(_OPTIONS):
        chosen = option(chosen)
    return chosen


def _settings(
    context: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """Each ``NAME=VALUE``, split at its first equals sign; of several for a name the last."""
    settings = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", context, option)
        settings[name] = value
    return settings


_OPTIONS: tuple[Callable[[Callable[..., int]], Callable[..., int]], ...] = (
    click.option(
        "-p",
        "--param",
        "params",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_settings,
        help="Give the pipeline a parameter.",
    ),
    click.option(
        "--only", multiple=True, metavar="PHASE", help="Run this phase and what it waits for."
    ),
    click.option("--start-at", metavar="PHASE", help="Run this phase and what waits for it."),
    click.option("--skip", multiple=True, metavar="PHASE", help="Leave out this phase."),
    click.option(
        "--keep-going", is_flag=True, help="Let branches that do not depend on a failure go on."
    ),
    click.option(
        "--checkpoint",
        metavar="FILE",
        help="Remember in FILE what is done, and go on after it when run again.",
    ),
    click.option(
        "--cache", metavar="FOLDER", help="Where cached results are kept, .milo/cache by default."
    ),
    click.option("--force", is_flag=True, help="Run phases although their results are cached."),
    click.option(
        "--max-workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Run at most N phases at once.",
    ),
)
