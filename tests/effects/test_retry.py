"""Retry calls a function until it succeeds or has failed often enough."""

import asyncio
import inspect
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milo_core import Action
from milo_effects import Delay, Put, Retry, SagaCancelled, Timeout
from milo_effects.effects._backoff import jittered_wait


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
    """Three attempts, exponential from one second up to thirty, no jitter, all errors."""
    defaults = Retry(print, (), {}, 3, "exponential", 1.0, 30.0, jitter=0.0, should_retry=None)
    assert Retry(print) == defaults


@given(
    backoff=st.sampled_from(["exponential", "linear", "fixed"]),
    base_delay=st.floats(0, 100),
    max_delay=st.floats(0, 100),
    jitter=st.floats(0, 1),
    attempt=st.integers(0, 2000),
    seed=st.integers(),
)
def test_jitter_stays_around_the_planned_wait(
    backoff, base_delay, max_delay, jitter, attempt, seed
):
    """Within that fraction of it, at most ``max_delay`` unless fixed; a seed repeats it."""
    retry = Retry(print, backoff=backoff, base_delay=base_delay, max_delay=max_delay, jitter=jitter)
    planned = retry.delay(attempt)
    wait = jittered_wait(retry, attempt, Random(seed))
    assert planned * (1 - jitter) <= wait <= planned * (1 + jitter)
    assert wait <= max(max_delay, base_delay if backoff == "fixed" else 0)
    assert wait == jittered_wait(retry, attempt, Random(seed))


@pytest.mark.parametrize("jitter", [0.25, 1.0])
def test_jitter_reaches_from_shorter_to_longer(jitter):
    """A thousand waits of ten seconds spread over the whole range, on both sides."""
    retry, random = Retry(print, base_delay=10.0, jitter=jitter), Random(1)
    waits = [jittered_wait(retry, 0, random) for _ in range(1000)]
    assert min(waits) < 10.0 - 9.5 * jitter
    assert max(waits) > 10.0 + 9.5 * jitter


class Dice(Random):
    """Chance that always picks the least, and remembers between what."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def uniform(self, least, most):
        self.asked.append((least, most))
        return least


@pytest.mark.parametrize(("jitter", "asked"), [(1.0, [(0.0, 2.0)] * 2), (0.0, [])])
def test_chance_comes_from_the_runtime(new_store, run, jitter, asked):
    """Whoever controls ``runtime.random`` controls the waits; without jitter it is not asked."""
    store, flaky = new_store(), Flaky(2)
    run(store, one(Delay(0)))
    dice = new_store.runtime(store).random = Dice()
    base_delay = 3600.0 * jitter
    retry = Retry(flaky, base_delay=base_delay, max_delay=7200.0, jitter=jitter)
    assert run(store, one(retry)) == "done"
    assert dice.asked == asked


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_error_not_worth_a_retry_is_thrown_at_once(new_store, run, kind):
    """``should_retry`` sees each error in turn; at its first no, that error is thrown."""
    flaky, seen = Flaky(10), []

    def should_retry(error):
        seen.append(str(error))
        return len(seen) < 3

    def saga():
        fn = flaky if kind == "plain" else flaky.later
        with pytest.raises(ValueError, match="failure 3"):
            yield Retry(fn, max_attempts=9, base_delay=0.0, should_retry=should_retry)
        return "went on"

    assert run(new_store(), saga()) == "went on"
    assert seen == ["failure 1", "failure 2", "failure 3"]
    assert flaky.calls == 3


def test_the_last_error_is_thrown_unasked(new_store, run):
    """After the last attempt there is nothing to decide."""
    seen = []

    def saga():
        with pytest.raises(ValueError, match="failure 2"):
            yield Retry(Flaky(9), max_attempts=2, base_delay=0.0, should_retry=decide)
        return "went on"

    def decide(error):
        seen.append(str(error))
        return True

    assert run(new_store(), saga()) == "went on"
    assert seen == ["failure 1"]


def test_an_error_in_the_decision_is_thrown_with_the_first_as_context(new_store, run):
    """Neither of the two is lost."""

    def decide(error):
        raise LookupError("undecided")

    def saga():
        with pytest.raises(LookupError, match="undecided") as caught:
            yield Retry(Flaky(9), base_delay=0.0, should_retry=decide)
        return str(caught.value.__context__)

    assert run(new_store(), saga()) == "failure 1"


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
    "wrong",
    [
        {"max_attempts": 0},
        {"backoff": "cubic"},
        {"base_delay": -1},
        {"max_delay": -1},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": "0.5"},
        {"jitter": float("nan")},
    ],
)
def test_an_impossible_retry_is_refused_where_it_is_written(wrong):
    """The mistake shows at construction."""
    with pytest.raises(ValueError, match="Retry"):
        Retry(print, **wrong)


def test_a_decision_that_is_no_function_is_refused_where_it_is_written():
    """A class of errors in a tuple, as in ``except``, is a likely slip."""
    with pytest.raises(TypeError, match=r"Retry\(should_retry=...\) takes a function"):
        Retry(print, should_retry=(ValueError,))


def test_its_published_parameters_come_first():
    """What the seed publishes is unchanged; what was added can be given by keyword only."""
    parameters = list(inspect.signature(Retry).parameters.values())
    published = ["fn", "args", "kwargs", "max_attempts", "backoff", "base_delay", "max_delay"]
    assert [each.name for each in parameters[:7]] == published
    assert {each.kind.name for each in parameters[7:]} == {"KEYWORD_ONLY"}
    effect = Retry(print)
    assert (effect.args, dict(effect.kwargs), effect.max_attempts) == ((), {}, 3)
    assert (effect.backoff, effect.base_delay, effect.max_delay) == ("exponential", 1.0, 30.0)
