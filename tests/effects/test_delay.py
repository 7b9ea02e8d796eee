"""Delay waits for a time."""

import time

import pytest

from milo_effects import Delay, SagaCancelled


def test_the_time_passes_and_nothing_is_sent_back(new_store, run):
    """The saga goes on with ``None``, not before its time."""

    def saga():
        begun = time.monotonic()
        nothing = yield Delay(0.02)
        return nothing, time.monotonic() - begun

    nothing, passed = run(new_store(), saga())
    assert nothing is None
    assert passed >= 0.02


def test_delays_end_in_the_order_of_their_times(new_store, hangs):
    """Whatever the order they begin in, on one worker and one timer thread."""
    store, order = new_store(max_workers=1), []

    def saga(seconds):
        yield Delay(seconds)
        order.append(seconds)

    tasks = [store.run_saga(saga(each)) for each in (0.5, 0.0, 0.25, 60)]
    for task in tasks[:3]:
        task.result(hangs)
    assert order == [0.0, 0.25, 0.5]


def test_a_short_delay_is_not_held_up_by_a_long_one(new_store, park, run):
    """A timer set later and due earlier wakes the timer thread."""
    store = new_store()

    def saga(seconds):
        yield Delay(seconds)
        return seconds

    park(store, saga(3600))
    assert run(store, saga(0.001)) == 0.001


@pytest.mark.parametrize("seconds", [1e12, float("inf")])
def test_a_delay_without_an_end_disturbs_nobody(new_store, park, run, ended, seconds):
    """A time no clock reaches is waited for like any other, and can be cancelled."""
    store = new_store()

    def saga(seconds):
        yield Delay(seconds)
        return "through"

    task = park(store, saga(seconds))
    assert run(store, saga(0.001)) == "through"
    task.cancel()
    assert ended(task) is SagaCancelled


def test_cancelling_ends_the_wait_at_once(new_store, park, ended, left):
    """An hour's delay is over when its saga is cancelled, and its timer is gone."""
    store = new_store()

    def saga():
        yield Delay(3600)

    task = park(store, saga())
    assert left(store) == {"tasks": 1, "timers": 1}
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


@pytest.mark.parametrize("seconds", [-1, float("nan"), "1", None])
def test_an_impossible_time_is_refused_where_it_is_written(seconds):
    """The mistake shows at construction."""
    with pytest.raises(ValueError, match="seconds of 0 or more"):
        Delay(seconds)
