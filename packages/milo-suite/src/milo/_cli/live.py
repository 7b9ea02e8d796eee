"""The display for terminals: a picture redrawn ten times a second, by a thread of its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

from rich.console import Console, RenderableType
from rich.file_proxy import FileProxy
from rich.live import Live

from milo._cli.interrupts import WINDING_DOWN
from milo._cli.outcome import Outcome, closing_lines
from milo._cli.progress import progress_picture
from milo._cli.streams import LineWriter
from milo_core import Action
from milo_pipeline import PipelineState
from milo_tui.symbols import symbols_for

_FRAME = 0.1


class LiveDisplay:
    """Shows the latest state until the body ends; then the last picture stays.

    ``on_event`` only remembers the state, on whichever thread tells it. What is printed
    meanwhile appears above the picture. Leaving shows the cursor again, however it is left.
    """

    def __init__(self, writer: LineWriter) -> None:
        terminal = writer.stream
        self._symbols = symbols_for(terminal.encoding)
        self._writer = writer
        self._state: PipelineState | None = None
        self._note = ""
        # Names and captured lines are data: no markup, no emoji codes, no highlighting.
        self._console = Console(file=terminal, markup=False, emoji=False, highlight=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,  # its thread is not waited for at the end; ours is
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._picture,
        )
        self._ended = threading.Event()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the picture until the body ends, however it ends."""
        self._live.start()
        try:
            with _printing_above(self._console), self._painting():
                yield
        finally:
            self._note = ""
            with suppress(OSError):  # the terminal has gone; the run's result counts
                self._live.stop()

    def on_event(self, action: Action, state: PipelineState) -> None:
        """Remember the state for the next frame."""
        self._state = state

    def interrupted(self) -> None:
        """Say from the next frame on that the run winds down."""
        self._note = WINDING_DOWN

    def close(self, outcome: Outcome) -> None:
        """Write the summary below the last picture."""
        self._writer.write_lines(*closing_lines(outcome))
        self._writer.close()

    @contextmanager
    def _painting(self) -> Iterator[None]:
        painter = threading.Thread(target=self._paint, name="milo-display", daemon=True)
        painter.start()
        try:
            yield
        finally:
            self._ended.set()
            painter.join()

    def _paint(self) -> None:
        with suppress(OSError):  # the terminal has gone; the run goes on
            while not self._ended.wait(_FRAME):
                self._live.refresh()

    def _picture(self) -> RenderableType:
        state, height = self._state, self._console.height
        if state is None:
            return ""
        return progress_picture(state, time.monotonic(), height - 1, self._symbols, self._note)


@contextmanager
def _printing_above(console: Console) -> Iterator[None]:
    """What is printed to the terminal appears above the picture instead of inside it."""
    streams = sys.stdout, sys.stderr
    above = [_Above(console, stream) if stream.isatty() else stream for stream in streams]
    sys.stdout, sys.stderr = cast(list[TextIO], above)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        for stream in above:
            stream.flush()


class _Above(FileProxy):
    """rich's proxy, made a text stream that handlers can rely on."""

    def __init__(self, console: Console, stream: TextIO) -> None:
        super().__init__(console, stream)
        self._stream = stream

    def write(self, text: str) -> int:
        super().write(text)
        return len(text)

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there, read only here
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # likewise
        return self._stream.errors
