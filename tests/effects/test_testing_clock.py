"""VirtualClock: time that passes only when it is told to."""

import threading

import pytest

from milo_core import StateError, Store
from milo_effects import Delay, SagaRuntime, Take
from milo_effects.testing import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


def test_timers_happen_in_the_order_of_their_times(clock):
    """Each at its own time; equal times in the order in which they were set."""
    seen = []
    for seconds, name in ((2, "c"), (1, "a"), (1, "b"), (5, "late")):
        clock.call_later(seconds, lambda name=name: seen.append((name, clock.now())))
    clock.advance(3)
    assert seen == [("a", 1), ("b", 1), ("c", 2)]
    assert clock.now() == 3
    assert clock.pending() == 1


def test_a_timer_may_set_another(clock):
    """One that is due in the time that passes happens in it."""
    seen = []
    clock.call_later(1, lambda: clock.call_later(1, lambda: seen.append(clock.now())))
    clock.advance(2)
    assert seen == [2]


def test_the_next_time_comes_with_all_its_timers(clock):
    """advance_to_next goes to the earliest time, and says whether there was one."""
    seen = []
    clock.call_later(7, lambda: seen.append("a"))
    clock.call_later(7, lambda: seen.append("b"))
    assert clock.advance_to_next()
    assert seen == ["a", "b"]
    assert clock.now() == 7
    assert not clock.advance_to_next()
    assert clock.now() == 7


def test_a_cancelled_timer_does_not_happen(clock):
    """Cancelling counts once, and is harmless afterwards."""
    timer = clock.call_later(1, lambda: pytest.fail("it was cancelled"))
    timer.cancel()
    timer.cancel()
    timer.fire()
    assert clock.pending() == 0
    assert clock.next_due() is None
    clock.advance(1)


def test_a_callback_that_raises_is_told_of(clock):
    """Its error comes out of advance; the next advance goes on behind it."""
    seen = []
    clock.call_later(1, lambda: 1 / 0)
    clock.call_later(1, lambda: seen.append(1))
    with pytest.raises(ZeroDivisionError):
        clock.advance(5)
    assert (clock.now(), seen) == (1, [])
    clock.advance(0)
    assert seen == [1]


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_time_does_not_go_backwards(clock, seconds):
    """Seconds are 0 or more."""
    with pytest.raises(ValueError, match="seconds of 0 or more"):
        clock.advance(seconds)


def test_a_closed_clock_forgets_and_refuses(clock):
    """After close there are no timers, and there will be none."""
    timer = clock.call_later(1, lambda: pytest.fail("it was closed"))
    clock.close()
    timer.cancel()
    assert not timer.is_set
    assert clock.pending() == 0
    with pytest.raises(StateError, match="sets no more timers"):
        clock.call_later(1, print)


def test_sagas_on_real_workers_can_live_by_it(clock, hangs):
    """A runtime takes it in place of its own clock."""

    def saga():
        yield Delay(3600)
        yield Take("NEVER", timeout=3600)

    def make(host):
        return SagaRuntime(host, clock=clock)

    with Store(lambda state, action: state, None, runtime=make) as store:
        task = store.run_saga(saga)
        for _ in range(2):
            assert store.wait_idle(hangs)
            assert clock.advance_to_next()
        with pytest.raises(TimeoutError):
            task.result(hangs)
    assert clock.now() == 7200


def test_timers_are_set_from_any_thread(clock, together):
    """Nothing is lost when threads set and cancel at the same time."""
    seen = []

    def work():
        for _ in range(200):
            clock.call_later(1, lambda: seen.append(threading.get_ident()))
            clock.call_later(1, lambda: pytest.fail("it was cancelled")).cancel()

    together(work, work, work)
    clock.advance(1)
    assert len(seen) == 600
    assert clock.pending() == 0
