"""``milo run`` on a real terminal: the picture, and Ctrl-C."""

import os
import re

import pytest
from suite_tools import HANG, environment
from terminals import CTRL_C, HIDE_CURSOR, TERMINATE, Terminal

BUILD = """
    import atexit
    import threading
    from pathlib import Path

    from milo import Phase, Pipeline

    def note_threads():
        names = [thread.name for thread in threading.enumerate()]
        Path("threads").write_text(",".join(names))

    atexit.register(note_threads)

    def prepare():
        print("[bold]preparing[/] \\x1b[2J everything")

    def hammer():
        print("hammering")
        open("go").close()  # a FIFO: opens once the test opens the other end
        print("[red]hammered[/] [/nonsense]", end="", flush=True)
        print(" in")

    def finish():
        open("finished", "w").close()
        print("it lies in /x/y")

    PHASES = (
        Phase("prepare", prepare),
        Phase("hammer", hammer, depends_on=("prepare",)),
        Phase("finish", finish, depends_on=("hammer",)),
    )
    pipeline = Pipeline("house", *PHASES, capture_output=True)
    aloud = Pipeline("house", *PHASES)
"""


@pytest.fixture
def build(write, folder):
    """The file above, and the FIFO its second phase waits at."""
    os.mkfifo(folder / "go")
    return write("build.py", BUILD)


@pytest.fixture
def go(folder):
    """Let the second phase end."""
    return lambda: (folder / "go").write_text("")


@pytest.fixture
def terminal():
    """Start ``milo`` on a terminal."""

    def start(*words, **env):
        command = ["-W", "error", "-m", "milo", *map(str, words)]
        surroundings = {**environment(), "TERM": "xterm-256color", **env}
        return Terminal(*command, env=surroundings, patience=HANG)

    return start


def test_the_picture(build, terminal, go):
    """Running phases show their last line, done ones a tick; then the summary and last word."""
    with terminal("run", build) as screen:
        screen.wait_for("hammering")
        go()
        assert screen.exit_code() == 0
    shown = screen.shown
    assert HIDE_CURSOR in shown
    assert screen.cursor_is_visible()
    assert "100%" in shown
    assert "● hammer" in uncoloured(shown)
    assert "✓ finish" in uncoloured(shown)
    *_, summary, last_word = uncoloured(shown).split("\r\n")[:-1]
    assert summary.startswith("house completed in ")
    assert last_word == "it lies in /x/y"


def uncoloured(text):
    """The text without escape sequences; a carriage return stays where a line is rewritten."""
    return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", text)


def test_printing_above_the_picture(build, terminal, go):
    """Without capture, what phases print stands on lines of its own, and is not markup."""
    with terminal("run", f"{build}:aloud") as screen:
        screen.wait_for("33%")
        go()
        assert screen.exit_code() == 0
    lines = [line.rpartition("\r")[2] for line in uncoloured(screen.shown).split("\r\n")]
    assert "hammering" in lines
    assert "[red]hammered[/] [/nonsense]" in lines
    assert screen.cursor_is_visible()


@pytest.mark.parametrize("options", [[], ["--plain"]])
def test_ctrl_c_in_the_middle_of_a_phase(build, folder, terminal, go, options):
    """The phase ends, nothing new starts; exit code 130, terminal sane, no thread left."""
    with terminal("run", *options, build) as screen:
        screen.wait_for("hammering")
        screen.type(CTRL_C)
        screen.wait_for("interrupted, waiting for running phases to end")
        go()
        assert screen.exit_code() == 130
    assert screen.cursor_is_visible()
    assert "house interrupted after " in screen.shown
    assert "(1 of 3 phases done)" in screen.shown
    assert "Traceback" not in screen.shown
    assert not (folder / "finished").exists()
    assert (folder / "threads").read_text() == "MainThread"


@pytest.mark.parametrize("options", [[], ["--plain"]])
def test_ctrl_c_twice(build, folder, terminal, options):
    """The second one leaves at once, whatever still runs, and the terminal is sane."""
    with terminal("run", *options, build) as screen:
        screen.wait_for("hammering")
        screen.type(CTRL_C)
        screen.wait_for("interrupted, waiting for running phases to end")
        screen.type(CTRL_C)
        assert screen.exit_code() == 130
    assert screen.cursor_is_visible()
    assert "house interrupted after " in screen.shown
    assert "Traceback" not in screen.shown
    assert not (folder / "finished").exists()


def test_sigterm(build, folder, terminal, go):
    """Another signal winds down in the same way and shows in the exit code."""
    with terminal("run", build) as screen:
        screen.wait_for("hammering")
        screen.send(TERMINATE)
        screen.wait_for("interrupted, waiting for running phases to end")
        go()
        assert screen.exit_code() == 143
    assert screen.cursor_is_visible()
    assert not (folder / "finished").exists()


def test_ctrl_c_while_importing(write, folder, terminal, go):
    """Before anything runs, Ctrl-C ends the command without a word."""
    os.mkfifo(folder / "go")
    build = write("slow.py", "print('importing', flush=True)\nopen('go').close()\n")
    with terminal("run", build) as screen:
        screen.wait_for("importing")
        screen.type(CTRL_C)
        assert screen.exit_code() == 130
    assert "Traceback" not in screen.shown


def test_a_failed_phase(write, terminal):
    """The picture stays with the error in it, and the terminal is sane."""
    build = write(
        "build.py",
        """
        from milo import Phase, Pipeline

        def fail():
            raise OSError("disk full")

        pipeline = Pipeline("house", Phase("dig", fail), capture_output=True)
        """,
    )
    with terminal("run", build) as screen:
        assert screen.exit_code() == 1
    assert "✗ dig" in uncoloured(screen.shown)
    assert "house failed in " in screen.shown
    assert "dig: OSError: disk full" in screen.shown
    assert screen.cursor_is_visible()


@pytest.mark.parametrize(
    ("options", "env"), [(["--plain"], {}), ([], {"CI": "true"}), ([], {"TERM": "dumb"})]
)
def test_plain_lines_on_a_terminal(build, terminal, go, options, env):
    """On request, in CI and on a dumb terminal there is no picture: not one escape sequence."""
    with terminal("run", *options, build, **env) as screen:
        screen.wait_for("hammer  | hammering")
        go()
        assert screen.exit_code() == 0
    assert "\x1b" not in screen.shown


def test_an_ascii_terminal(build, terminal, go):
    """Where the terminal has no ticks, the picture is drawn in ASCII."""
    with terminal("run", build, PYTHONIOENCODING="ascii") as screen:
        screen.wait_for("hammering")
        go()
        assert screen.exit_code() == 0
    assert "+ finish" in uncoloured(screen.shown)
    assert screen.shown.isascii()
