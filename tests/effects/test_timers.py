"""TimerHeap: one thread for every delay and timeout."""

import threading

import pytest

from milo_core import StateError
from milo_effects._timers import TimerHeap


@pytest.fixture
def clock():
    heap = TimerHeap()
    yield heap
    heap.close()
    assert heap.pending() == 0


def test_callbacks_come_in_the_order_of_their_times(clock, hangs):
    """Equal times in the order in which they were set."""
    order, last = [], threading.Event()
    for name, seconds in [("c", 0.5), ("a", 0.0), ("b", 0.25)]:
        clock.call_later(seconds, lambda name=name: order.append(name))
    clock.call_later(0.5, last.set)
    assert last.wait(hangs)
    assert order == ["a", "b", "c"]


def test_a_thousand_equal_times_keep_their_order(clock, hangs):
    """Nothing overtakes."""
    order, last = [], threading.Event()
    for n in range(1000):
        clock.call_later(0, lambda n=n: order.append(n))
    clock.call_later(0, last.set)
    assert last.wait(hangs)
    assert order == list(range(1000))


def test_the_thread_starts_with_the_first_timer_and_is_the_only_one(threads):
    """A clock nobody uses costs nothing."""
    clock = TimerHeap()
    assert threads() == []
    for _ in range(100):
        clock.call_later(3600, print)
    assert threads() == ["milo-timers"]
    clock.close()
    assert threads() == []


def test_a_cancelled_timer_does_not_fire(clock, hangs):
    """Cancelling is harmless when repeated, and afterwards."""
    fired, last = [], threading.Event()
    timer = clock.call_later(0.01, lambda: fired.append(True))
    timer.cancel()
    timer.cancel()
    kept = clock.call_later(0.02, last.set)
    assert last.wait(hangs)
    kept.cancel()
    assert fired == []
    assert clock.pending() == 0


def test_pending_counts_what_is_set_and_not_cancelled(clock):
    """Fired and cancelled timers are not in it."""
    timers = [clock.call_later(3600, print) for _ in range(10)]
    assert clock.pending() == 10
    for timer in timers[:4]:
        timer.cancel()
    assert clock.pending() == 6


def test_short_lived_timers_do_not_pile_up(clock):
    """Ten thousand timeouts of an hour, each cancelled soon, leave a small heap."""
    kept = clock.call_later(7200, print)
    for _ in range(10_000):
        clock.call_later(3600, print).cancel()
    assert clock.pending() == 1
    assert len(clock._heap) < 200
    kept.cancel()


@pytest.mark.parametrize("seconds", [1e10, 1e300, float("inf")])
def test_a_time_beyond_all_clocks_is_no_reason_to_stop(clock, hangs, seconds):
    """The thread sleeps as long as it can, and other timers fire."""
    fired = threading.Event()
    far = clock.call_later(seconds, print)
    clock.call_later(0, fired.set)
    assert fired.wait(hangs)
    fired.clear()
    clock.call_later(0.001, fired.set)
    assert fired.wait(hangs)
    far.cancel()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_callback_that_raises_stops_no_other(clock, hangs, caplog, error):
    """It is logged, and the thread lives on."""
    fired = threading.Event()

    def fail():
        raise error("callback")

    clock.call_later(0, fail)
    clock.call_later(0.001, fired.set)
    assert fired.wait(hangs)
    assert "callback" in caplog.text


def test_a_callback_may_set_and_cancel_timers(clock, hangs):
    """No lock is held while it runs."""
    fired = threading.Event()
    other = clock.call_later(3600, print)

    def callback():
        other.cancel()
        clock.call_later(0, fired.set)

    clock.call_later(0, callback)
    assert fired.wait(hangs)


def test_a_closed_clock_says_so(threads):
    """Timers are forgotten, and setting another is refused: its time would never come."""
    clock = TimerHeap()
    timer = clock.call_later(3600, print)
    clock.close()
    clock.close()
    timer.cancel()
    assert clock.pending() == 0
    assert threads() == []
    with pytest.raises(StateError, match="has been shut down"):
        clock.call_later(0, print)


def test_a_callback_may_close_the_clock(hangs, threads):
    """The thread does not wait for itself, and ends."""
    clock, closed = TimerHeap(), threading.Event()
    clock.call_later(0, lambda: (clock.close(), closed.set()))
    assert closed.wait(hangs)
    for thread in threading.enumerate():
        if thread.name == "milo-timers":
            thread.join(hangs)
    assert threads() == []


def test_a_thread_that_cannot_be_started_is_tried_again(clock, hangs, monkeypatch):
    """The caller is told, and the next timer works."""
    fired = threading.Event()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            clock.call_later(0, print)
    assert clock.pending() == 0
    clock.call_later(0, fired.set)
    assert fired.wait(hangs)


def test_setting_cancelling_and_firing_at_the_same_time(clock, together, frantic, hangs):
    """From four threads: what was not cancelled fires once, and nothing is left."""
    fired, lock = [], threading.Lock()

    def note(name):
        with lock:
            fired.append(name)

    def work(thread):
        for n in range(200):
            timer = clock.call_later(0.0005 * (n % 3), lambda name=(thread, n): note(name))
            if n % 2:
                timer.cancel()

    together(*(lambda thread=thread: work(thread) for thread in range(4)))
    last = threading.Event()
    clock.call_later(0.01, last.set)
    assert last.wait(hangs)
    assert len(fired) == len(set(fired))
    assert {name for name in fired if name[1] % 2 == 0} == {
        (thread, n) for thread in range(4) for n in range(0, 200, 2)
    }
    assert clock.pending() == 0
