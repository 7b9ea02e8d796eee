"""Programs on a terminal of their own, as a shell would start them."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
from contextlib import contextmanager

from milo_tui.testing import PATIENCE, VirtualTerminal

COUNTER = """
from milo_core import Quit
from milo_tui import App

def reduce(state, action):
    if action.type == "@@KEY":
        char = action.payload.char
        if char == "+":
            return state + 1
        if char == "q":
            return Quit(state, 7)
        if char == "x":
            raise LookupError("reducer")
    return state

def view(state, size):
    if state == 13:
        raise LookupError("view")
    return f"count {state} in {size.width}x{size.height}"

import sys
print("before")
app = App(reducer=reduce, initial_state=0, view=view)
state = app.run()
print("after", state)
sys.exit(app.exit_code)
"""


@contextmanager
def on_terminal(source, width=80, height=24):
    """``source`` run by a new Python, whose terminal it is; and that terminal."""
    with started([sys.executable, "-c", source], width, height) as (process, terminal):
        yield process, terminal


@contextmanager
def shell():
    """The terminal of an interactive shell."""
    with started(["bash", "--norc", "--noediting", "-i"], 80, 24) as (_, terminal):
        terminal.wait_for("$")
        yield terminal


@contextmanager
def started(command, width, height, **variables):
    """``command`` on a terminal of its own; the process and the terminal."""
    terminal = VirtualTerminal(width, height)
    process = subprocess.Popen(
        command,
        stdin=terminal.slave,
        stdout=terminal.slave,
        stderr=terminal.slave,
        start_new_session=True,
        preexec_fn=_begin,  # noqa: PLW1509  # only system calls
        env={**os.environ, "TERM": "xterm-256color", "PS1": "$ ", **variables},
    )
    try:
        yield process, terminal
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        terminal.close()


def _begin():
    """Own the terminal, and heed the signals that nohup and shells have their children ignore."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
