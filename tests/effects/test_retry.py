"""Retry calls a function until it succeeds or has failed often enough."""

import asyncio

import pytest

from milo_core import Action
from milo_effects import Delay, Put, Retry, SagaCancelled, Timeout


class Flaky:
    """Fails so many times, then returns its argument."""

    def __init__(self, failures, error=ValueError):
        self.failures = failures
        self.error = error
        self.calls = 0

    def __call__(self, value="done"):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error(f"failure {self.calls}")
        return value

    async def later(self, value="done"):
        await asyncio.sleep(0)
        return self(value)


def one(effect):
    return (yield effect)


@pytest.mark.parametrize("failures", [0, 1, 2])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_the_first_success_is_sent_back(new_store, run, failures, kind):
    """As many attempts are made as are needed, with the same arguments."""
    flaky = Flaky(failures)
    fn = flaky if kind == "plain" else flaky.later
    assert run(new_store(), one(Retry(fn, (5,), {}, 3, "fixed", 0.0))) == 5
    assert flaky.calls == failures + 1


def test_the_last_error_is_thrown_at_the_yield(new_store, run):
    """After ``max_attempts`` failures the last one can be caught in the saga."""
    flaky = Flaky(10)

    def saga():
        with pytest.raises(ValueError, match="failure 4"):
            yield Retry(flaky, max_attempts=4, base_delay=0.0)
        return "went on"

    assert run(new_store(), saga()) == "went on"
    assert flaky.calls == 4


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_exits_are_not_tried_again(new_store, ended, error):
    """What is no ``Exception`` goes to the saga at once."""
    flaky = Flaky(1, error)
    store = new_store()
    assert ended(store.run_saga(one(Retry(flaky, base_delay=0.0)))) is error
    assert flaky.calls == 1


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        ("exponential", [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]),
        ("linear", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ("fixed", [1.0] * 6),
    ],
)
def test_the_waits_follow_the_backoff(backoff, delays):
    """Exponential and linear growth end at ``max_delay``; k counts from 0."""
    retry = Retry(print, backoff=backoff, base_delay=1.0, max_delay=10.0)
    assert [retry.delay(attempt) for attempt in range(6)] == delays


def test_very_many_attempts_do_not_overflow():
    """The ten-thousandth wait is ``max_delay``."""
    assert Retry(print, max_attempts=10_001).delay(10_000) == 30.0


def test_the_published_defaults():
    """Three attempts, exponential from one second up to thirty."""
    assert Retry(print) == Retry(print, (), {}, 3, "exponential", 1.0, 30.0)


def test_it_waits_between_attempts_without_a_worker(new_store, run, hangs, gate):
    """During a backoff of an hour the only worker serves others."""
    store, failed = new_store(max_workers=1), gate()

    def fail():
        failed.set()
        raise ValueError("again")

    task = store.run_saga(one(Retry(fail, base_delay=3600.0, max_delay=3600.0)))
    failed.pass_through()
    assert store.wait_idle(hangs)
    assert store.pool_active == 0
    assert run(store, one(Delay(0))) is None
    assert not task.done()


def test_a_backoff_can_be_cancelled(new_store, ended, hangs, gate, left, seen):
    """Cancellation cuts the wait short, nothing is tried again, and cleanup follows."""
    store, failed = new_store(), gate()
    flaky = Flaky(10)

    def fail():
        failed.set()
        return flaky()

    def saga():
        try:
            yield Retry(fail, base_delay=3600.0, max_delay=3600.0)
        finally:
            yield Put(Action("CLEANED"))

    task = store.run_saga(saga())
    failed.pass_through()
    assert store.wait_idle(hangs)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert flaky.calls == 1
    assert seen(store, "CLEANED") == [None]
    assert left(store) == {}


def test_cancelled_during_an_attempt_it_ends_with_that_attempt(new_store, ended, gate):
    """The attempt finishes first; its failure is not tried again."""
    begun, leave = gate(), gate()
    flaky = Flaky(10)

    def work():
        begun.set()
        leave.pass_through()
        return flaky()

    store = new_store()
    task = store.run_saga(one(Retry(work, base_delay=0.0)))
    begun.pass_through()
    task.cancel()
    leave.set()
    assert ended(task) is SagaCancelled
    assert flaky.calls == 1


def test_a_timeout_ends_a_backoff(new_store, run, left, all_ended):
    """``Timeout`` over ``Retry`` throws at its time and no attempt follows."""
    store, flaky = new_store(), Flaky(10)

    def saga():
        with pytest.raises(TimeoutError):
            yield Timeout(Retry(flaky, base_delay=3600.0, max_delay=3600.0), 0.01)
        return "went on"

    assert run(store, saga()) == "went on"
    all_ended(store)
    assert flaky.calls <= 1
    assert left(store) == {}


@pytest.mark.parametrize(
    "wrong", [{"max_attempts": 0}, {"backoff": "cubic"}, {"base_delay": -1}, {"max_delay": -1}]
)
def test_an_impossible_retry_is_refused_where_it_is_written(wrong):
    """The mistake shows at construction."""
    with pytest.raises(ValueError, match="Retry"):
        Retry(print, **wrong)
