"""What ``milo run`` leaves behind where it is asked to: timeline, trace and report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import click

from milo_pipeline import Pipeline, PipelineState


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The files that a run is to write, ``None`` for each that it is not."""

    timeline: str | None = None
    trace: str | None = None
    report: str | None = None

    def __bool__(self) -> bool:
        return not (self.timeline is self.trace is self.report is None)

    def check(self) -> None:
        """Refuse a place that cannot be written, before the run and not after it.

        Raises:
            ExportError: names the file and what is wrong with its place.
        """
        from milo_pipeline.exports import check_place

        for path, what in ((self.timeline, "timeline"), (self.trace, "trace")):
            if path is not None:
                check_place(path, f"the {what}")
        if self.report is not None:
            check_place(self.report, "the report")

    def write(
        self,
        pipeline: Pipeline,
        state: PipelineState,
        spans: Any,
        errors: Mapping[str, BaseException],
    ) -> None:
        """Write the files of a run that has ended.

        Raises:
            ExportError: one of them cannot be written.
        """
        from milo_pipeline.exports import tracebacks_of, write_report, write_timeline, write_trace

        texts = tracebacks_of(errors)
        if self.timeline is not None:
            write_timeline(self.timeline, pipeline, state, spans, texts)
        if self.trace is not None:
            write_trace(self.trace, pipeline, state, spans)
        if self.report is not None:
            write_report(self.report, pipeline, state, spans, texts)


NO_ARTIFACTS: Final = Artifacts()


def artifact_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` the options, and call it with ``artifacts``."""

    @functools.wraps(command)
    def asked(
        *args: Any, timeline: str | None, trace: str | None, report: str | None, **kwargs: Any
    ) -> int:
        return command(*args, artifacts=Artifacts(timeline, trace, report), **kwargs)

    for option, text in (
        ("--report", "Write the run as one HTML file."),
        ("--trace", "Write the run as a trace that Perfetto and Chrome open."),
        ("--timeline", "Write the run as JSON, for milo report and other programs."),
    ):
        asked = click.option(option, metavar="FILE", help=text)(asked)
    return asked
