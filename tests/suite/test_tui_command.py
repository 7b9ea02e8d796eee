"""``milo run --tui`` and ``milo replay`` on real terminals, and without any."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from programs import started

from milo_tui.testing import PATIENCE

SOURCE = """
    import asyncio, os
    from milo import Phase, Pipeline

    def parse():
        print("found 3 pages")

    def render():
        with open("gate") as gate:
            gate.read()
        if os.path.exists("broken"):
            raise OSError("disk full")
        print("rendered")

    pipeline = Pipeline(
        "site",
        Phase("parse", parse),
        Phase("render", render, depends_on=("parse",)),
        capture_output=True,
    )
    def blocking():
        print("it blocks")
        with open("gate") as gate:
            gate.read()

    slow = Pipeline("slow", Phase("blocking", blocking), capture_output=True)

    async def last():
        print("it lasts")
        await asyncio.Event().wait()

    lasting = Pipeline("lasting", Phase("last", last), capture_output=True)
"""


@pytest.fixture
def build(write, folder):
    """The file, and the gate that its second phase waits for."""
    os.mkfifo(folder / "gate")
    return write("build.py", SOURCE)


def open_gate(folder):
    with open(folder / "gate", "w"):
        pass


def milo(*words):
    """The command on a terminal of its own."""
    return started([sys.executable, "-W", "error", "-m", "milo", *map(str, words)], 80, 24)


def test_a_run_is_walked_through(build, folder):
    """It stays until it is quit; then the usual words are said, and the code is the run's."""
    with milo("run", build, "--tui", "--timeline", "run.json") as (process, terminal):
        before = terminal.modes()
        terminal.wait_for("● render")
        assert terminal.is_alternate
        terminal.press("enter")
        terminal.wait_for("found 3 pages")
        terminal.press("enter")
        open_gate(folder)
        terminal.wait_for("✓ site  completed")
        terminal.press("q")
        assert process.wait(PATIENCE) == 0
        text = terminal.wait_for("site completed in")
        assert "rendered" in text and not terminal.is_alternate
        assert terminal.modes() == before
    assert json.loads((folder / "run.json").read_text())["status"] == "completed"


def test_a_failed_phase_is_run_again(build, folder):
    """Once what was wrong has been mended; the code is that of the last run."""
    (folder / "broken").touch()
    with milo("run", build, "--tui") as (process, terminal):
        terminal.wait_for("● render")
        open_gate(folder)
        terminal.wait_for("✗ site  failed")
        (folder / "broken").unlink()
        terminal.press("down", "r")
        terminal.wait_for("● render")
        open_gate(folder)
        terminal.wait_for("✓ site  completed")
        terminal.press("q")
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("way", "code"), [("q", 130), ("ctrl+c", 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_leaving_it_cancels_the_run(build, way, code):
    """By a key or by a signal; the terminal is as it was."""
    with milo("run", f"{build}:lasting", "--tui") as (process, terminal):
        before = terminal.modes()
        terminal.wait_for("it lasts")
        if isinstance(way, str):
            terminal.press(way)
        else:
            process.send_signal(way)
        assert process.wait(PATIENCE) == code
        terminal.wait_for("interrupted")
        assert (terminal.is_alternate, terminal.is_cursor_visible) == (False, True)
        assert terminal.modes() == before


def test_a_phase_that_goes_on_is_waited_for(build, folder):
    """It is said, on the terminal as it was, and another Ctrl-C does not wait."""
    for impatient in (False, True):
        with milo("run", f"{build}:slow", "--tui") as (process, terminal):
            terminal.wait_for("it blocks")
            terminal.press("q")
            terminal.wait_for("waiting for running phases to end; Ctrl-C again leaves at once")
            assert not terminal.is_alternate
            if impatient:
                terminal.press("ctrl+c")
            else:
                open_gate(folder)
            assert process.wait(PATIENCE) == 130


def test_without_a_terminal_it_is_printed(write, milo_process):
    """One plain frame and the result; the code is the pipeline's."""
    source = "from milo import Phase, Pipeline\npipeline = Pipeline('p', Phase('a', {}))\n"
    ended = milo_process("run", write("good.py", source.format("lambda: 1")), "--tui", input=b"")
    assert ended.code == 0
    assert "✓ a" in ended.out and "p completed in" in ended.out
    ended = milo_process("run", write("bad.py", source.format("lambda: 1 / 0")), "--tui", input=b"")
    assert ended.code == 1
    assert "✗ a" in ended.out and "division by zero" in ended.out and "\x1b" not in ended.out


def test_other_displays_are_not_for_it(write, milo_process):
    """It is said which exclude each other."""
    file = write("build.py", SOURCE)
    for other in ("--json", "--plain", "--watch", "--dry-run"):
        ended = milo_process("run", file, "--tui", other, input=b"")
        assert ended.code == 2
        assert "--tui excludes --json, --plain, --watch and --dry-run" in ended.err


TIMED = """
    import time
    from milo import Phase, PhasePolicy, Pipeline

    tries = []

    def flaky():
        tries.append(1)
        print(f"try {len(tries)}")
        if len(tries) < 2:
            raise OSError("busy")

    retrying = PhasePolicy(on_fail="retry", max_retries=2, retry_delay=0.01)
    pipeline = Pipeline(
        "site",
        Phase("first", lambda: print("one")),
        Phase("flaky", flaky, depends_on=("first",), policy=retrying),
        Phase("fails", lambda: 1 / 0, depends_on=("flaky",)),
        capture_output=True,
    )
"""


@pytest.fixture
def recorded(write, folder, milo_process):
    """The timeline of a run that has failed."""
    ended = milo_process("run", write("build.py", TIMED), "--timeline", "run.json")
    assert ended.code == 1
    return folder / "run.json"


def test_a_recorded_run_is_stepped_through(recorded):
    """Back to its beginning and on to its end, moment by moment; space plays it."""
    with milo("replay", recorded) as (process, terminal):
        terminal.wait_for("✗ site  failed")
        text = terminal.wait_for("space plays")
        seen = [text]
        while "○ first" not in seen[-1] and "● first" not in seen[-1]:
            terminal.press("left")
            before = seen[-1]
            seen.append(terminal.wait_for(lambda text, before=before: text != before))
        assert any("↻ flaky" in text and "busy" in text for text in seen)
        assert any("attempt 2" in text for text in seen)
        terminal.press("right")
        terminal.wait_for(lambda text: text != seen[-1])
        terminal.press("space")
        terminal.wait_for("✗ fails")
        terminal.press("space", "space", "q")
        assert process.wait(PATIENCE) == 0


def test_a_recorded_run_is_printed_without_a_terminal(recorded, milo_process):
    """Its end, as plain text."""
    ended = milo_process("replay", recorded, input=b"")
    assert ended.code == 0
    assert "✗ fails" in ended.out and "\x1b" not in ended.out


def test_what_is_no_recording_is_told(write, milo_process):
    """In one line."""
    ended = milo_process("replay", write("run.json", "{}"), input=b"")
    assert ended.code == 2
    assert "is no timeline" in ended.err and ended.err.count("\n") == 1


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_a_session_in_tmux(build, folder, tmp_path):
    """A terminal that many people use: it is drawn, followed, scrolled, and left as it was."""
    socket = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]

    def tmux(*words):
        ran = subprocess.run([*socket, *words], capture_output=True, text=True, check=True)
        return ran.stdout

    def wait_for(wanted):
        limit = time.monotonic() + PATIENCE
        while wanted not in (text := tmux("capture-pane", "-p")):
            assert time.monotonic() < limit, text
        return text

    command = shlex.join([sys.executable, "-m", "milo", "run", str(build), "--tui"])
    tmux("new-session", "-d", "-x", "80", "-y", "24", "bash --norc -i")
    try:
        tmux("send-keys", f"PS1='$ '; clear; echo before; {command}; echo code $?", "Enter")
        wait_for("● render")
        tmux("send-keys", "Enter")
        wait_for("found 3 pages")
        tmux("resize-window", "-x", "60", "-y", "12")
        wait_for("lines 1–1 of 1")
        tmux("send-keys", "Enter")
        wait_for("▸ ✓ parse")
        open_gate(folder)
        wait_for("✓ site  completed")
        tmux("send-keys", "q")
        text = wait_for("code 0")
        assert "before" in text and "q quit" not in text
    finally:
        tmux("kill-server")
