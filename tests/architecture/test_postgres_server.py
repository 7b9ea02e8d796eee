"""The program that runs a command beside a PostgreSQL server, here beside one that is given."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / ".ci" / "postgres_server.py"
GIVEN = "postgresql+asyncpg://postgres@/given"
SHOWS_URLS = """
import os
print(os.environ["TEST_DATABASE_URL"], os.environ["CONTRACT_POSTGRES_URL"])
raise SystemExit(3)
"""
ENDS_BY_A_SIGNAL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
WAITS = "import signal; print('ready', flush=True); signal.pause()"
TELLS_OF_SIGINT = """
import signal
try:
    print("ready", flush=True)
    signal.pause()
except KeyboardInterrupt:
    raise SystemExit(4)
"""


def start(code):
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), sys.executable, "-c", code],
        env=os.environ | {"TEST_DATABASE_URL": GIVEN},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_given_server_is_used():
    """The command finds its URL under both names, and ends with its own exit code."""
    with start(SHOWS_URLS) as program:
        assert program.stdout.read().split() == [GIVEN, GIVEN]
    assert program.returncode == 3


def test_a_signal_that_ends_the_command_is_told_as_a_shell_tells_it():
    """128 and the number of the signal."""
    with start(ENDS_BY_A_SIGNAL) as program:
        pass
    assert program.returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("code", "send", "expected"),
    [
        (WAITS, lambda program: program.terminate(), 128 + signal.SIGTERM),
        (TELLS_OF_SIGINT, lambda program: os.killpg(program.pid, signal.SIGINT), 4),
    ],
    ids=["SIGTERM", "Ctrl-C"],
)
def test_who_ends_the_program_ends_the_command_first(code, send, expected):
    """It waits for the command, so that the server is stopped after it."""
    with start(code) as program:
        assert program.stdout.readline() == "ready\n"
        send(program)
    assert program.returncode == expected


def test_without_a_command_it_says_how_it_is_used():
    """And starts no server."""
    ended = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "postgres_server.py COMMAND..." in ended.stderr
