"""However an application ends, the terminal is as it was."""

import signal
import sys

import pytest
from programs import COUNTER, on_terminal, shell

from milo_tui.testing import PATIENCE

WAYS = {
    "quit": ("q", 7, "after 0"),
    "reducer": ("x", 1, "LookupError: reducer"),
    "view": ("+" * 13, 1, "ViewError: the view has raised LookupError: view"),
    "ctrl+c": ("\x03", -signal.SIGINT, "KeyboardInterrupt"),
    "SIGINT": (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"),
    "SIGTERM": (signal.SIGTERM, -signal.SIGTERM, "before"),
    "SIGHUP": (signal.SIGHUP, -signal.SIGHUP, "before"),
}


def looks(terminal):
    """All that an application changes."""
    return terminal.is_alternate, terminal.is_cursor_visible, terminal.modes()


@pytest.mark.parametrize("way", WAYS)
def test_the_terminal_is_as_it_was(way):
    """Its modes, its cursor, and what was on its screen; then comes what the program says."""
    sent, code, said = WAYS[way]
    with on_terminal(COUNTER, 150, 100) as (process, terminal):
        before = terminal.modes()
        terminal.wait_for("count 0")
        assert looks(terminal) == (True, False, looks(terminal)[2])
        assert looks(terminal)[2] != before
        if isinstance(sent, str):
            terminal.press(*sent)
        else:
            process.send_signal(sent)
        assert process.wait(PATIENCE) == code
        terminal.wait_for(said)
        assert looks(terminal) == (False, True, before)
        assert terminal.rows[0] == "before"
        assert "count" not in terminal.text


def test_it_can_be_suspended_and_resumed(tmp_path):
    """Ctrl-Z gives the terminal back to the shell; ``fg`` has all of it drawn again."""
    program = tmp_path / "counter.py"
    program.write_text(COUNTER)
    with shell() as terminal:
        terminal.type(f"{sys.executable} {program}\n")
        terminal.wait_for("count 0")
        terminal.press("+")
        terminal.wait_for("count 1")
        for _ in range(2):
            terminal.press("ctrl+z")
            terminal.wait_for("Stopped")
            assert not terminal.is_alternate and terminal.is_cursor_visible
            terminal.type("clear; fg\n")
            terminal.wait_for("count 1")
            assert terminal.is_alternate and not terminal.is_cursor_visible
        terminal.press("+")
        terminal.wait_for("count 2")
        terminal.press("q")
        terminal.wait_for("after 2")
        terminal.type("exit\n")


@pytest.mark.parametrize("at_once", [True, False])
def test_a_terminal_that_is_gone_ends_it(at_once):
    """As it ends any program: by SIGHUP, and without a word."""
    with on_terminal(COUNTER) as (process, terminal):
        terminal.wait_for("count 0")
        if at_once:
            terminal.press("+")
        terminal.hang_up()
        assert process.wait(PATIENCE) == -signal.SIGHUP


def test_it_fits_another_size():
    """A terminal that becomes smaller or larger gets a frame of that size."""
    with on_terminal(COUNTER) as (process, terminal):
        terminal.wait_for("count 0 in 80x24")
        for width, height in ((40, 10), (1, 1), (200, 60)):
            terminal.resize(width, height)
            terminal.wait_for(f"count 0 in {width}x{height}"[:width])
        terminal.press("q")
        assert process.wait(PATIENCE) == 7


def test_what_is_printed_meanwhile_comes_afterwards():
    """By Python, below it, and by child processes; nothing of it is lost or in the way."""
    source = COUNTER.replace(
        "def view(state, size):",
        """def view(state, size):
    if state == 1:
        import os, sys
        print("printed")
        print("told", file=sys.stderr)
        os.write(1, b"below\\n")
        os.system("echo child")
""",
    )
    with on_terminal(source) as (process, terminal):
        terminal.wait_for("count 0")
        terminal.press("+")
        text = terminal.wait_for("count 1")
        assert text == "count 1 in 80x24"
        terminal.press("q")
        assert process.wait(PATIENCE) == 7
        text = terminal.wait_for("after 1")
        for each in ("printed", "told", "below", "child"):
            assert each in text
