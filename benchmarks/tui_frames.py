"""A store that changes every 2 ms, on a terminal: frames a second, and what a frame costs."""

from __future__ import annotations

import os
import pty
import sys
import threading
import time
from collections.abc import Iterator

from measure import Row, main
from milo_core import Action, Quit, Store
from milo_pipeline import PhaseLog, PhaseStatus, PipelineState, PipelineViewState
from milo_tui import App, Size
from milo_tui.frames import Painter
from milo_tui.pipeline_view import pipeline_view
from milo_tui.screen import Screen
from milo_tui.terminal import Terminal

SECONDS = 3.0
CHANGE = 0.002
LINES = 10_000
QUIT = "QUIT"
SIZE = Size(80, 24)


def run_of(step: int, lines: tuple[PhaseLog, ...] = ()) -> PipelineState:
    """A run of thirty phases; with each step another line of one that runs."""
    done, count = step // 50 % 30, 30
    phases = tuple(
        PhaseStatus(f"phase {n}", "completed", 1.0, 0.5, "", 1)
        if n < done
        else PhaseStatus(f"phase {n}", "running", 1.0, 0.0, "", 1, lines or (PhaseLog(f"{step}"),))
        if n == done
        else PhaseStatus(f"phase {n}")
        for n in range(count)
    )
    return PipelineState("bench", phases, "", 1.0, 0.0, done / count, "running")


def shown_for(seconds: float) -> tuple[float, float, float]:
    """Frames a second, share of a core, and bytes a frame, as a store changes every 2 ms."""
    master, slave = pty.openpty()
    written = 0

    def read() -> None:
        nonlocal written
        while True:
            try:
                written += len(os.read(master, 1 << 16))
            except OSError:
                return

    threading.Thread(target=read, daemon=True).start()
    states = [PipelineViewState(run_of(step)) for step in range(1500)]
    frames = 0

    def view(state: PipelineViewState, size: Size) -> object:
        nonlocal frames
        frames += 1
        return pipeline_view(state, size)

    def reduce(state: PipelineViewState, action: Action) -> object:
        return Quit(state) if action.type == QUIT else action.payload or state

    store: Store[PipelineViewState] = Store(
        lambda state, action: state if action.type.startswith("@@") else reduce(state, action),
        states[0],
    )
    app = App(store=store, view=view, terminal=Terminal(slave, slave))
    spent = 0.0

    def run() -> None:
        nonlocal spent
        begun = time.thread_time()
        app.run()
        spent = time.thread_time() - begun

    thread = threading.Thread(target=run)
    thread.start()
    begun = time.perf_counter()
    step = 0
    while (now := time.perf_counter()) < begun + seconds:
        store.dispatch(Action("SET", states[step % len(states)]))
        step += 1
        time.sleep(max(0.0, begun + step * CHANGE - now))
    store.dispatch(Action(QUIT))
    thread.join()
    store.shutdown()
    os.close(slave)
    return frames / seconds, spent / seconds * 100, written / max(frames, 1)


def frame_of(view: PipelineViewState) -> float:
    """Milliseconds that a frame takes, from the state to what is written."""
    painter, screen = Painter(color=True), Screen()
    best = float("inf")
    for _ in range(50):
        begun = time.perf_counter()
        screen.draw(painter.rows(pipeline_view(view, SIZE), SIZE))
        best = min(best, time.perf_counter() - begun)
    return best * 1e3


def bytes_of(changed: int) -> int:
    """What is written when so many of the rows have changed."""
    screen = Screen()
    rows = [f"row {n:60}" for n in range(24)]
    screen.draw(rows)
    return len(screen.draw([f"new {n:60}" if n < changed else row for n, row in enumerate(rows)]))


def rows() -> Iterator[Row]:
    frames, share, size = shown_for(SECONDS)
    print(f"{frames:.0f} frames a second, {size:.0f} bytes each", file=sys.stderr)
    yield Row("between two frames", 1e3 / frames, 1, 20, "ms", absolute=True)
    yield Row("share of a core at that", share, 1, 20, "%", absolute=True)
    yield Row(
        "a frame of thirty phases", frame_of(PipelineViewState(run_of(700))), 1, 4, "ms", True
    )
    lines = tuple(PhaseLog(f"line {n}") for n in range(LINES))
    view = PipelineViewState(run_of(0, lines), expanded=True, log_scroll=LINES - 20)
    yield Row(f"a frame of {LINES:,} lines", frame_of(view), 1, 4, "ms", absolute=True)
    yield Row("bytes of 24 rows changed, to one", bytes_of(24), bytes_of(1), 24, "")


if __name__ == "__main__":
    main("milo-tui", rows)
