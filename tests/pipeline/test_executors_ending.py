"""``executor="process"``: a process ends when nobody waits for its handler any more."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import process_handlers as handlers
import pytest
from run_tools import HANG, Watch, phase, run, statuses

from milo_pipeline import PhasePolicy, PhaseTimeout
from milo_pipeline.executors import ProcessExecutor

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

ONCE_MORE = PhasePolicy("retry", max_retries=1, retry_delay=0)
WAITING = [
    handlers.wait_for_ever,
    handlers.wait_with_cleanup,
    handlers.wait_async_with_cleanup,
    handlers.run_a_program,
    handlers.run_beside,
    handlers.start_a_child,
]


class Cancels:
    """Sets ``event`` at the first line of a phase, and keeps what the lines say."""

    def __init__(self):
        self.event = threading.Event()
        self.lines = []

    def __call__(self, action, state):
        if action.type == "@@PHASE_LOG":
            self.lines.append(action.payload["line"])
            self.event.set()


def process(name, handler, **options):
    return phase(name, handler, **{"executor": "process", "parallel": True, **options})


def wait_for_threads():
    """Those that a timeout has set aside end when their processes have."""
    for thread in threading.enumerate():
        if thread.name.startswith("milo-"):
            thread.join(HANG)


def assert_gone(pid):
    """Whoever adopted an orphan collects it in its own time; a zombie does not run."""
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        try:
            os.kill(int(pid), 0)
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        os.sched_yield()
    os.kill(int(pid), signal.SIGKILL)
    pytest.fail(f"process {pid} still runs")


@pytest.mark.parametrize("handler", WAITING)
def test_a_cancelled_run_ends_it(handler):
    """With what it has started; its ``finally`` blocks run and are heard."""
    cancels = Cancels()
    result, _ = run(
        process("a", handler), watch=Watch(cancels), cancel=cancels.event, capture_output=True
    )
    assert result.state.error == "cancelled"
    assert cancels.lines[1:] == ["cleaned"] * ("cleanup" in handler.__name__)
    assert_gone(cancels.lines[0])


def test_a_process_that_ignores_it_is_killed():
    """After ``kill_after`` seconds."""
    cancels = Cancels()
    result, _ = run(
        process("a", handlers.ignore_sigterm, executor=ProcessExecutor(kill_after=0.1)),
        watch=Watch(cancels),
        cancel=cancels.event,
        capture_output=True,
    )
    assert result.state.error == "cancelled"
    assert_gone(cancels.lines[0])


def test_a_timeout_ends_it(tmp_path):
    """Unlike a thread, and its policy says what follows."""
    file = tmp_path / "pids"
    file.touch()
    handler = handlers.noting_process(file)
    result, watch = run(process("a", handler, timeout=1.5, policy=ONCE_MORE))
    assert isinstance(result.errors["a"], PhaseTimeout)
    assert watch.story_of("a")[-2].startswith("PHASE_START a 2")
    wait_for_threads()
    for pid in file.read_text().split():
        assert_gone(pid)


def test_fail_fast_ends_those_beside_it(tmp_path):
    """The failure is the other one's."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    cancels = Cancels()

    def fail():
        assert cancels.event.wait(HANG)
        raise ValueError("no")

    result, _ = run(
        process("a", handlers.wait_for_ever),
        phase("b", fail, parallel=True),
        watch=Watch(cancels),
        capture_output=True,
        fail_fast=True,
        max_workers=2,
    )
    assert statuses(result.state) == {"a": "failed", "b": "failed"}
    assert str(result.errors["b"]) == "no"
    assert_gone(cancels.lines[0])


PROGRAM = """
import process_handlers, signal, sys
from milo_pipeline import Phase, Pipeline

# Ignored, if the tests run in the background of a shell.
signal.signal(signal.SIGINT, signal.default_int_handler)
if __name__ == "__main__":
    handler = getattr(process_handlers, sys.argv[1])
    Pipeline("p", Phase("a", handler, executor="process")).run()
"""


@contextmanager
def started(handler):
    """A program that runs a pipeline of one process, and the number that this has said."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, handler.__name__],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.path.dirname(handlers.__file__)},
        text=True,
    ) as program:
        try:
            yield program, program.stdout.readline().strip()
        finally:
            program.kill()


@pytest.mark.parametrize("handler", [handlers.wait_with_cleanup, handlers.run_a_program])
def test_ctrl_c_ends_it(handler):
    """The program ends as it would with a thread."""
    with started(handler) as (program, pid):
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=HANG)
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert out == "cleaned\n" * (handler is handlers.wait_with_cleanup)
    assert_gone(pid)


@pytest.mark.parametrize("handler", WAITING)
def test_a_program_that_is_killed_leaves_no_process(handler):
    """Nor what the process has started."""
    with started(handler) as (program, pid):
        program.kill()
        program.communicate(timeout=HANG)
    assert_gone(pid)
