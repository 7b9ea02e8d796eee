"""TryCall runs a function and sends back its outcome as a pair."""

import asyncio

import pytest

from milo_effects import ChildCancelledError, Take, TryCall


async def later(outcome):
    await asyncio.sleep(0)
    return now(outcome)


def now(outcome):
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@pytest.mark.parametrize("fn", [now, later])
def test_success_and_failure_are_sent_back_as_a_pair(new_store, run, fn):
    """``(result, None)``, or ``(None, error)``, from plain and async functions alike."""
    problem = LookupError("none")

    def saga():
        good = yield TryCall(fn, (1,))
        bad = yield TryCall(fn, args=(problem,), kwargs={})
        return good, bad

    assert run(new_store(), saga()) == ((1, None), (None, problem))


@pytest.mark.parametrize("fn", [now, later])
def test_exits_are_thrown_as_they_are(new_store, ended, fn):
    """What is no ``Exception`` is not an outcome to be sent back."""

    def saga():
        yield TryCall(fn, (SystemExit(2),))

    assert ended(new_store().run_saga(saga())) is SystemExit


def test_the_cancellation_of_another_saga_is_an_outcome(new_store, run):
    """Waiting for a saga that is cancelled gives the pair with ``ChildCancelledError``."""
    store = new_store(max_workers=2)

    def other():
        yield Take("NEVER")

    task = store.run_saga(other())
    task.cancel()

    def saga():
        return (yield TryCall(task.result))

    result, error = run(store, saga())
    assert result is None
    assert isinstance(error, ChildCancelledError)
