"""The live display, seen from inside."""

import io
import sys
import threading
from contextlib import contextmanager, redirect_stdout

import pytest
from suite_stories import COMPLETED, SITE, last_state, told

from milo._cli.live import LiveDisplay
from milo._cli.outcome import Outcome
from milo._cli.streams import LineWriter


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def tty(monkeypatch):
    """A terminal that can be redrawn."""
    monkeypatch.setenv("TERM", "xterm")
    return Tty()


@contextmanager
def shown_on(tty):
    """A display on ``tty``, which stands in the place of stdout."""
    display = LiveDisplay(LineWriter(tty))
    with redirect_stdout(tty), display.showing():
        yield display


def display_threads():
    return [thread.name for thread in threading.enumerate() if thread.name == "milo-display"]


def test_nothing_is_left_behind(tty):
    """The thread has ended and the streams are back before the next line runs."""
    streams = sys.stdout, sys.stderr
    with shown_on(tty):
        assert display_threads() == ["milo-display"]
        assert sys.stdout is not tty
    assert display_threads() == []
    assert (sys.stdout, sys.stderr) == streams


def test_an_error_restores_the_terminal(tty):
    """The cursor is shown again, whatever ends the body."""
    with pytest.raises(ZeroDivisionError), shown_on(tty):
        raise ZeroDivisionError
    assert tty.getvalue().rfind("\x1b[?25h") > tty.getvalue().rfind("\x1b[?25l") >= 0


def test_the_last_state_stays(tty):
    """However short the run, the last picture is that of its end."""
    with shown_on(tty) as display:
        for action, state in told(SITE, *COMPLETED):
            display.on_event(action, state)
    display.close(Outcome(last_state(SITE, *COMPLETED)))
    assert "100%" in tty.getvalue()
    summary = (
        "site completed in 2.25 s (3 phases, 1 skipped)\nskipped: health: a.md: no such heading\n"
    )
    assert tty.getvalue().endswith(summary)


def test_prints_are_a_text_stream(tty):
    """What handlers find as ``sys.stdout`` has an encoding, is writable and counts characters."""
    with shown_on(tty):
        assert sys.stdout.encoding == "utf-8"
        assert sys.stdout.writable()
        assert sys.stdout.isatty()
        assert sys.stdout.write("printed\n") == 8
    assert "printed" in tty.getvalue()
