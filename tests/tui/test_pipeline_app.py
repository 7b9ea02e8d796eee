"""A pipeline on a terminal: every key that is documented, and how it ends."""

import asyncio
import subprocess
import sys
import threading

import pytest
from programs import started

from milo_pipeline import Phase, Pipeline
from milo_pipeline.errors import ParameterError
from milo_tui import App
from milo_tui.testing import PATIENCE, running

LINES = 50


class Site:
    """A pipeline whose phases go on when they are told to."""

    def __init__(self):
        self.gate = threading.Event()
        self.fails = 1
        self.pipeline = Pipeline(
            "site",
            Phase("parse", self.parse),
            Phase("render", self.render, depends_on=("parse",)),
            Phase("write", lambda: print("written"), depends_on=("render",)),
            capture_output=True,
        )

    def parse(self):
        print("found 3 pages")

    def render(self):
        for number in range(LINES):
            print(f"page {number} \x1b[31mred\x1b[0m 日本")
        assert self.gate.wait(PATIENCE)
        if self.fails:
            self.fails -= 1
            raise OSError("disk full")


@pytest.fixture
def site():
    site = Site()
    yield site
    site.gate.set()


@pytest.fixture
def screen(site):
    """The pipeline while its second phase runs and has written all its lines."""
    app = App.from_pipeline(site.pipeline)
    with running(app, 60, 14) as screen:
        screen.app = app
        screen.wait_for(f"page {LINES - 1}")
        yield screen
        site.gate.set()
        screen.press("q")


def selected(text):
    """The name of the phase with the marker."""
    (row,) = [row for row in text.splitlines() if row.startswith("▸")]
    return row.split()[2]


def first_line(text):
    """The number that a phase gave the first line in sight."""
    return int(text.splitlines()[2].split()[2])


def test_phases_are_shown_as_they_are(screen, site):
    """Sign, name, time and what it says last; the whole in the first row."""
    text = screen.text
    assert "● site  running" in text and "33%" in text
    assert "✓ parse" in text and "● render" in text and "○ write" in text
    site.gate.set()
    text = screen.wait_for("disk full")
    assert "✗ render" in text and "✗ site  failed" in text


def test_up_and_down_select(screen):
    """Not beyond the first and the last."""
    for key, name in [
        *[("down", "render"), ("down", "write"), ("down", "write")],
        *[("up", "render"), ("up", "parse"), ("up", "parse")],
        *[("end", "write"), ("home", "parse"), ("page_down", "write"), ("page_up", "parse")],
    ]:
        screen.press(key)
        screen.wait_for(lambda text, name=name: selected(text) == name)


def test_enter_shows_lines_and_hides_them(screen):
    """Space does, too, and Escape hides them."""
    for opening, closing in (("enter", "enter"), ("space", "space"), ("enter", "escape")):
        screen.press(opening)
        screen.wait_for("found 3 pages")
        screen.press(closing)
        screen.wait_for("○ write")


@pytest.fixture
def lines(screen):
    """The lines of the second phase, the last of them in sight."""
    screen.press("down", "enter")
    screen.wait_for(f"of {LINES}, following")
    return screen


def test_lines_are_shown_without_what_steers_a_terminal(lines):
    """With their numbers, wide characters in place."""
    assert "50 page 49 red 日本" in lines.text


def test_g_goes_to_the_top_and_capital_g_to_the_end(lines):
    """And the last line is no longer followed; Home and End do the same."""
    for key, first in (("g", 0), ("G", LINES - 10), ("home", 0), ("end", LINES - 10)):
        lines.press(key)
        lines.wait_for(lambda text, first=first: first_line(text) == first)
        assert "following" not in lines.text


def test_arrows_and_pages_scroll(lines):
    """By a line, and by as many as are in sight."""
    lines.press("g")
    lines.wait_for(lambda text: first_line(text) == 0)
    for key, first in (
        *[("down", 1), ("down", 2), ("up", 1), ("page_down", 11), ("page_down", 21)],
        *[("page_up", 11), ("page_up", 1), ("page_up", 0)],
    ):
        lines.press(key)
        lines.wait_for(lambda text, first=first: first_line(text) == first)


def test_f_follows_or_stays(lines):
    """It is said which."""
    lines.press("f")
    lines.wait_for(lambda text: "following" not in text)
    lines.press("g", "f")
    text = lines.wait_for("following")
    assert first_line(text) == LINES - 10


def test_slash_looks_for_text(lines):
    """What is typed is found at once; n and N go on to the next and the one before."""
    lines.press("/", *"page 2")
    lines.wait_for("/page 2▏")
    lines.press("backspace", "3", "enter")
    text = lines.wait_for("/page 3  n next")
    assert "page 3 red" in text
    for key, number in (("n", 30), ("n", 31), ("N", 30), ("N", 3), ("N", 39)):
        lines.press(key)
        lines.wait_for(lambda text, number=number: f"page {number} " in text)
    lines.press("/", *"nowhere", "enter")
    lines.wait_for("/nowhere: not found")
    lines.press("/", "x", "escape")
    lines.wait_for("f follow")


def test_letters_are_letters_while_they_are_looked_for(lines):
    """Not the keys that they are otherwise."""
    lines.press("/", *"qfgGn?")
    lines.wait_for("/qfgGn?▏")
    lines.press("escape")
    lines.wait_for("f follow")


def test_question_mark_shows_the_keys(screen):
    """All of them, and any key goes back."""
    screen.press("?")
    text = screen.wait_for("any key goes back")
    for keys in ("PgUp PgDn", "Enter, space", "g G", "f", "/", "r", "Esc", "q"):
        assert f"  {keys} " in text
    screen.press("q")
    screen.wait_for("○ write")


def test_r_runs_a_failed_phase_again(screen, site):
    """With the results of the others; before it has failed it does nothing."""
    screen.press("down", "r")
    site.gate.set()
    screen.wait_for("disk full")
    screen.press("up", "r", "down", "down", "r", "up")  # those have not failed
    screen.wait_for(lambda text: selected(text) == "render")
    screen.press("r")
    text = screen.wait_for("✓ site  completed")
    assert "parse   from previous run" in text and "✓ write" in text
    screen.press("q")
    screen.join()
    assert screen.app.exit_code == 0


def test_q_quits_and_cancels_what_runs():
    """The exit code is that of a run that has not completed."""

    async def last():
        print("it lasts")
        await asyncio.Event().wait()

    app = App.from_pipeline(Pipeline("p", Phase("last", last), capture_output=True))
    with running(app) as screen:
        screen.wait_for("it lasts")
        screen.press("q")
        screen.join()
    assert app.exit_code == 1
    assert app.result.state.error == "cancelled"


def test_escape_goes_back_and_then_quits(site):
    """From the lines to the phases, and from these to the end."""
    site.gate.set()
    site.fails = 0
    app = App.from_pipeline(site.pipeline)
    with running(app) as screen:
        screen.wait_for("✓ site  completed")
        screen.press("enter")
        screen.wait_for("found 3 pages")
        screen.press("escape")
        screen.wait_for("✓ write")
        screen.press("escape")
        screen.join()
    assert app.exit_code == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (10, 3), (20, 5), (300, 100)])
def test_it_fits_any_terminal(site, width, height):
    """Nothing sticks out, and it can be walked through."""
    site.gate.set()
    app = App.from_pipeline(site.pipeline)
    with running(app, width, height) as screen:
        screen.press("down", "enter", "g", "/", "x", "enter", "?", "x", "enter")
        screen.resize(80, 24)
        screen.wait_for("disk full")
        screen.press("q")


def test_ten_thousand_phases_are_a_list_to_scroll(site):
    """Those around the selected one are in sight."""
    pipeline = Pipeline("many", *(Phase(f"p{n}", print) for n in range(10_000)))
    app = App.from_pipeline(pipeline, only=["p0"])
    with running(app) as screen:
        screen.wait_for("completed")
        screen.press("end")
        screen.wait_for(lambda text: selected(text) == "p9999")
        screen.press("home")
        screen.wait_for(lambda text: selected(text) == "p0")
        screen.press("q")


def test_what_keeps_it_from_running_is_raised(site):
    """After the terminal has been given back."""
    app = App.from_pipeline(site.pipeline, params={"nothing": 1})
    with pytest.raises(ParameterError, match="nothing"), running(app):
        pass


PROGRAM = """
import sys
from milo_pipeline import Phase, Pipeline
from milo_tui import App

def b():
    return {b}

pipeline = Pipeline("site", Phase("a", lambda: print("x")), Phase("b", b, depends_on=("a",)))
app = App.from_pipeline(pipeline)
app.run()
sys.exit(app.exit_code)
"""


@pytest.mark.parametrize(("b", "code", "said"), [("1", 0, "✓ b"), ("1 / 0", 1, "division by zero")])
def test_without_a_terminal_it_is_printed_at_its_end(b, code, said):
    """Once, as plain text; the exit code is the pipeline's."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(b=b)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
        env=None,
    )
    out = ran.stdout.decode()
    assert ran.returncode == code, ran.stderr
    assert said in out and "\x1b" not in out and "q quit" not in out


KILLED = """
import os, sys
from milo_pipeline import Phase, Pipeline
from milo_tui import App

def die():
    print("about to")
    os.kill(os.getpid(), 9)

pipeline = Pipeline("site", Phase("die", die, executor="process"), capture_output=True)

if __name__ == "__main__":
    app = App.from_pipeline(pipeline)
    app.run()
    sys.exit(app.exit_code)
"""


def test_a_phase_whose_process_is_killed_leaves_the_terminal_alone(tmp_path):
    """It has failed, and can be looked at; afterwards the terminal is as it was."""
    program = tmp_path / "killed.py"
    program.write_text(KILLED)
    with started([sys.executable, str(program)], 80, 24) as (process, terminal):
        before = terminal.modes()
        terminal.wait_for("✗ die")
        terminal.press("enter")
        terminal.wait_for("1 about to")
        terminal.press("q")
        assert process.wait(PATIENCE) == 1
        assert (terminal.is_alternate, terminal.is_cursor_visible) == (False, True)
        assert terminal.modes() == before


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_colours_can_be_turned_off(variable, coloured):
    """With ``NO_COLOR``; what is selected and what has failed is told by signs anyway."""
    source = PROGRAM.format(b="1 / 0")
    command = [sys.executable, "-c", source]
    with started(command, 80, 24, NO_COLOR=variable) as (process, terminal):
        text = terminal.wait_for("✗ b")
        assert "▸ ✓ a" in text
        colours = {cell.fg for row in terminal._screen.buffer.values() for cell in row.values()}
        assert (colours > {"default"}) is coloured
        terminal.press("q")
        assert process.wait(PATIENCE) == 1
