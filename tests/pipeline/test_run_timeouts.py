"""A phase's ``timeout``: each attempt has so long, and then its policy decides."""

import asyncio

import pytest
from run_tools import SKIP, Gate, nothing, phase, run, statuses

from milo_pipeline import DefinitionError, Phase, PhasePolicy, PhaseTimeout

SOON = 0.02


def test_a_handler_that_takes_too_long_fails_its_phase():
    """The run goes on without waiting for it; what it returns later is dropped."""
    leave, left = Gate(), Gate()

    def slow():
        leave.pass_through()
        left.set()
        return "late"

    result, _ = run(phase("a", slow, timeout=SOON))
    assert statuses(result.state) == {"a": "failed"}
    assert type(result.errors["a"]) is PhaseTimeout
    assert isinstance(result.errors["a"], TimeoutError)
    assert str(result.errors["a"]) == "it did not return within 0.02 s"
    leave.set()
    left.pass_through()
    assert result.results == {}


def test_an_async_handler_is_cancelled():
    """It hears of it, and the phase has failed when it has cleaned up or not."""
    cancelled = Gate()

    async def slow():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    result, _ = run(phase("a", slow, timeout=SOON))
    cancelled.pass_through()
    assert type(result.errors["a"]) is PhaseTimeout


def test_the_policy_says_what_follows():
    """A retry has its own time; a skip lets the run complete."""
    leave, calls = Gate(), []

    def slow_at_first():
        calls.append(1)
        if len(calls) == 1:
            leave.pass_through()
        return "done"

    again = PhasePolicy("retry", max_retries=1, retry_delay=0)
    result, watch = run(phase("a", slow_at_first, timeout=SOON, policy=again))
    assert result.results == {"a": "done"}
    assert watch.story_of("a")[1] == "PHASE_RETRY a 1 it did not return within 0.02 s"
    skipped, _ = run(phase("b", leave.pass_through, timeout=SOON, policy=SKIP))
    assert skipped.ok
    leave.set()


def test_a_timeout_of_the_handlers_own_is_its_own():
    """It is not taken for the phase's."""

    def own():
        raise TimeoutError("the server does not answer")

    result, _ = run(phase("a", own, timeout=60))
    assert type(result.errors["a"]) is TimeoutError


def test_a_handler_that_is_quick_enough_is_not_touched():
    """Nor what it returns."""
    assert run(phase("a", lambda: 5, timeout=60))[0].results == {"a": 5}


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "1"])
def test_a_timeout_that_is_no_time_is_refused(seconds):
    """Also none at all: leave it out for that."""
    with pytest.raises(DefinitionError, match="timeout must be a number of seconds above 0"):
        Phase("a", nothing, timeout=seconds)


def test_jitter_spreads_the_waits_of_a_policy():
    """Around what was planned, never beyond what growing waits end at."""

    class Always:
        def uniform(self, low, high):
            return high

    policy = PhasePolicy("retry", 9, 20.0, "exponential", jitter=0.5)
    assert policy.wait_after(1, Always()) == 30.0
    assert PhasePolicy("retry", 9, 2.0, jitter=0.5).wait_after(3, Always()) == 3.0
    assert PhasePolicy("retry", 9, 2.0).wait_after(3, None) == 2.0


@pytest.mark.parametrize("jitter", [-0.1, 1.5, True, "much"])
def test_a_jitter_that_is_no_fraction_is_refused(jitter):
    """Named with its class."""
    with pytest.raises(DefinitionError, match="jitter must be a fraction from 0 to 1"):
        PhasePolicy(jitter=jitter)
