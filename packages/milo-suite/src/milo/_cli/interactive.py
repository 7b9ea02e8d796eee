"""``milo run --tui``: the pipeline as an application, and the usual words at its end."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager, nullcontext

import click

from milo._cli.execution import Run
from milo._cli.interrupts import WINDING_DOWN, leave_at_once
from milo._cli.outcome import Outcome, closing_lines
from milo._cli.streams import LineWriter
from milo_core import Action
from milo_pipeline import PipelineState
from milo_tui.pipeline_app import PipelineApp


class ClosingDisplay:
    """Shows nothing while the run lasts, for something else does; says how it ended."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer

    def showing(self) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Nothing."""

    def interrupted(self) -> None:
        """Nothing."""

    def close(self, outcome: Outcome) -> None:
        """Write the summary."""
        self._writer.write_lines(*closing_lines(outcome))
        self._writer.close()


class InteractiveRun(Run):
    """A run that its user walks through, and leaves."""

    def execute(self) -> int:
        """Until the user quits; what still runs is cancelled and waited for, as by Ctrl-C."""
        app = _App(self._pipeline, **self._options, on_event=self._on_event)
        try:
            app.run()
        except KeyboardInterrupt:  # once more, while it was waited for
            leave_at_once(128 + signal.SIGINT)
        self.result = app.result
        if app.signum:
            self._signals.append(app.signum)
        elif self.result is not None and self.result.state.error == "cancelled":
            self._signals.append(signal.SIGINT)
        outcome = self._outcome()
        self._display.close(outcome)
        self._leave_artifacts(outcome)
        return outcome.exit_code


class _App(PipelineApp):
    signum = 0

    def _winding_down(self) -> None:
        click.echo(WINDING_DOWN, err=True)

    def _interrupted(self, signum: int) -> None:
        self.signum = signum  # the run has been cancelled by then; the command says the rest
