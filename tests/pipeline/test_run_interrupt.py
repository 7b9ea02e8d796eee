"""Ctrl-C during a run, in a program of its own."""

import sys

import pytest
from run_tools import python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")

PROGRAM = """
    import atexit, os, signal, threading
    from milo_pipeline import Phase, PhasePolicy, Pipeline, get_active_pipeline

    cancelled, finished, told = threading.Event(), [], []
    released = threading.Event()

    # A signal that arrives as the main thread is about to block does not wake it; the next does.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)

    def ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)

    def interrupt():
        ctrl_c()
        assert cancelled.wait(60)

    def run(*phases, **options):
        try:
            Pipeline("p", *phases, **options).run(
                cancel=cancelled, on_event=lambda action, state: told.append(action.type)
            )
        except KeyboardInterrupt:
            state = get_active_pipeline()
            left = [t.name for t in threading.enumerate() if t.name.startswith("milo-")]
            print("raised", finished, state.status, state.error, len(left))
            print(*[f"{phase.name}={phase.status}" for phase in state.phases])
"""


@pytest.mark.parametrize("options", ["", ", capture_output=True"], ids=["", "captured"])
@pytest.mark.parametrize("parallel", [False, True], ids=["alone", "parallel"])
def test_ctrl_c_is_raised_once_the_running_phase_has_ended(parallel, options):
    """The handler finishes, the run is cancelled, no thread is left, then comes the interrupt."""
    told = python(
        PROGRAM
        + f"""
    def works():
        interrupt()
        finished.append("a")

    run(Phase("a", works, parallel={parallel}){options})
    print(told[-1])
    """
    )
    raised, phases, last = told.splitlines()
    assert raised == "raised ['a'] failed cancelled 0"
    # The handler hears of it a moment before its phase does, so its result may still count.
    assert phases in ("a=failed", "a=completed")
    assert last == "@@PIPELINE_CANCELLED"


def test_ctrl_c_during_the_wait_for_another_attempt():
    """Nothing runs, so nothing is waited for."""
    told = python(
        PROGRAM
        + """
    def fails():
        ctrl_c()
        raise ValueError("no")

    run(Phase("a", fails, policy=PhasePolicy("retry", max_retries=1, retry_delay=3600)))
    """
    )
    assert told.splitlines() == ["raised [] failed cancelled 0", "a=failed"]


def test_ctrl_c_during_an_async_handler():
    """The coroutine is cancelled and cleans up before the interrupt is raised."""
    told = python(
        PROGRAM
        + """
    import asyncio

    async def works():
        try:
            ctrl_c()
            await asyncio.Event().wait()
        finally:
            finished.append("cleaned up")

    run(Phase("a", works, parallel=True))
    """
    )
    assert told.splitlines() == ["raised ['cleaned up'] failed cancelled 0", "a=failed"]


def test_a_second_ctrl_c_is_raised_at_once():
    """The handler is left behind, still at work; the program goes on."""
    told = python(
        PROGRAM
        + """
    def works():
        interrupt()
        ctrl_c()
        assert released.wait(60)
        finished.append("a")

    run(Phase("a", works))
    print("goes on", finished)
    released.set()
    """
    )
    raised, phases, goes_on = told.splitlines()
    assert raised.startswith("raised [] running")
    assert (phases, goes_on) == ("a=running", "goes on []")
