"""Subprocesses of handlers end with the attempt that started them."""

import os
import sys
import threading

import pytest
from run_tools import HANG, Watch, phase, run, statuses

from milo_capture import ProcessCancelled
from milo_capture import run as run_process
from milo_effects import SagaContext
from milo_pipeline import PhaseTimeout

pytestmark = pytest.mark.skipif(os.name == "nt", reason="milo_capture.run is for POSIX")

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


def sleep_in_a_subprocess():
    run_process([sys.executable, "-c", SLEEPER])


def test_its_output_is_the_phases_log():
    """Line by line."""
    result, _ = run(
        phase("a", lambda: run_process([sys.executable, "-c", "print('hello')"]).returncode),
        capture_output=True,
    )
    assert result.results == {"a": 0}
    assert [log.line for log in result.state.phases[0].logs] == ["hello"]


@pytest.mark.parametrize("parallel", [False, True])
def test_a_cancelled_run_ends_it(parallel):
    """At once, also if there is but one worker."""
    cancel = threading.Event()

    def up(action, state):
        if action.type == "@@PHASE_LOG":
            cancel.set()

    result, _ = run(
        phase("a", sleep_in_a_subprocess, parallel=parallel),
        capture_output=True,
        watch=Watch(up),
        cancel=cancel,
        max_workers=1,
    )
    assert result.state.error == "cancelled"


def test_a_phase_out_of_time_ends_it():
    """The handler hears of it by an error of ``run``."""
    seen, ended = [], threading.Event()

    def handler():
        try:
            sleep_in_a_subprocess()
        except ProcessCancelled as error:
            seen.append(error)
            ended.set()
            raise

    result, _ = run(phase("a", handler, timeout=0.3))
    assert isinstance(result.errors["a"], PhaseTimeout)
    assert ended.wait(HANG)
    assert len(seen) == 1


def test_fail_fast_ends_those_beside_it():
    """The failure is the other one's."""
    up = threading.Event()

    def fail():
        up.wait(HANG)
        raise ValueError("no")

    def told(action, state):
        if action.type == "@@PHASE_LOG":
            up.set()

    result, _ = run(
        phase("a", sleep_in_a_subprocess, parallel=True),
        phase("b", fail, parallel=True),
        capture_output=True,
        fail_fast=True,
        watch=Watch(told),
        max_workers=2,
    )
    assert statuses(result.state) == {"a": "failed", "b": "failed"}
    assert type(result.errors["b"]) is ValueError


def test_a_callback_of_a_scope_is_called_once():
    """When the scope or one above it is cancelled, at once if it has been, never if taken back."""
    above = SagaContext()
    below, told = above.child(), []
    below.on_cancel(lambda: told.append("first"))
    undo = below.on_cancel(lambda: told.append("never"))
    undo()
    above.cancel_tree()
    above.cancel_tree()
    assert told == ["first"]
    below.on_cancel(lambda: told.append("late"))
    assert told == ["first", "late"]
