"""Throttle starts a saga at most every so many seconds."""

import pytest

from milo_core import Action
from milo_effects import Put, SagaCancelled, Take, Throttle


class ManualClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self):
        self.time = 0.0
        self.timers = {}

    def now(self):
        return self.time

    def call_later(self, seconds, callback):
        timer = ManualTimer(self)
        self.timers[timer] = self.time + seconds, callback
        return timer

    def advance(self, seconds):
        """Let time pass, and call what becomes due on this thread, in order."""
        end = self.time + seconds
        while due := [(at, timer) for timer, (at, _) in self.timers.items() if at <= end]:
            self.time, timer = min(due, key=lambda each: each[0])
            _, callback = self.timers.pop(timer)
            callback()
        self.time = end

    def pending(self):
        return len(self.timers)

    def close(self):
        self.timers.clear()


class ManualTimer:
    def __init__(self, clock):
        self.clock = clock

    def cancel(self):
        self.clock.timers.pop(self, None)


@pytest.fixture
def throttled(new_store, park):
    """``throttled(saga, ...)``: a store in which ``saga`` waits, and the clock it waits by."""

    def start(*sagas, **options):
        store, clock = new_store(**options), ManualClock()
        park(store, nothing())  # makes the runtime
        new_store.runtime(store).clock = clock
        return store, clock, *[park(store, saga) for saga in sagas]

    return start


def nothing():
    return
    yield


def note(action):
    yield Put(Action("NOTED", action.payload))


def watch(pattern="KEY", saga=note, seconds=10):
    yield Throttle(seconds, pattern, saga)


def test_the_first_starts_at_once_and_then_only_the_newest(throttled, settle, seen):
    """What comes during the pause is kept, one action, and started with when it is over."""
    store, clock, _ = throttled(watch())
    store.dispatch(Action("KEY", 1))
    settle(store)
    assert seen(store, "NOTED") == [1]
    for n in (2, 3, 4):
        store.dispatch(Action("KEY", n))
        clock.advance(3)
    settle(store)
    assert seen(store, "NOTED") == [1]
    clock.advance(1)
    settle(store)
    assert seen(store, "NOTED") == [1, 4]


def test_what_was_kept_begins_the_next_pause(throttled, settle, seen):
    """Between any two starts there are the seconds asked for."""
    store, clock, _ = throttled(watch())
    for n in range(40):
        store.dispatch(Action("KEY", (n, clock.now())))
        settle(store)
        clock.advance(1)
    clock.advance(10)
    settle(store)
    assert [n for n, _ in seen(store, "NOTED")] == [0, 9, 19, 29, 39]


def test_after_a_pause_without_actions_the_next_starts_at_once(throttled, settle, seen, left):
    """When nothing was kept, no timer runs any more."""
    store, clock, _ = throttled(watch())
    for n in range(3):
        store.dispatch(Action("KEY", n))
        settle(store)
        clock.advance(10)
        assert left(store) == {"tasks": 1, "takers": 1}
    assert seen(store, "NOTED") == [0, 1, 2]


def test_a_pause_of_nothing_at_all(throttled, settle, seen):
    """With 0 seconds, what comes before the timer fires is still kept."""
    store, clock, _ = throttled(watch(seconds=0), max_workers=1)
    for n in range(3):
        store.dispatch(Action("KEY", n))
    clock.advance(0)
    settle(store)
    assert seen(store, "NOTED") == [0, 2]


def test_its_sagas_may_overlap(throttled, settle, left):
    """A saga that takes longer than the pause is not cancelled by the next."""

    def wait(action):
        yield Take("NEVER")

    store, clock, _ = throttled(watch(saga=wait))
    for n in range(3):
        store.dispatch(Action("KEY", n))
        clock.advance(10)
    settle(store)
    assert left(store)["tasks"] == 4


@pytest.mark.parametrize("pattern", [("KEY", "MOUSE"), "*", lambda action: action.type < "L"])
def test_it_watches_whatever_can_be_taken(throttled, settle, pattern):
    """Several types, a predicate or ``"*"`` are throttled together."""
    begun = []

    def handle(action):
        begun.append(action.payload)
        return
        yield

    store, clock, _ = throttled(watch(pattern, handle), max_workers=1)
    for n, kind in enumerate(("KEY", "MOUSE", "KEY")):
        store.dispatch(Action(kind, n))
    clock.advance(10)
    settle(store)
    assert begun == [0, 2]


def test_cancelling_it_forgets_what_was_kept(throttled, settle, ended, seen, left):
    """Timer, kept action and sagas go with it."""
    store, clock, task = throttled(watch())
    store.dispatch(Action("KEY", 1))
    store.dispatch(Action("KEY", 2))
    settle(store)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}
    clock.advance(100)
    settle(store)
    assert seen(store, "NOTED") == [1]


def test_a_timer_that_fires_as_it_is_cancelled_starts_nothing(throttled, ended, seen, left):
    """The clock may have taken the timer when the cancellation comes."""
    store, clock, task = throttled(watch())
    store.dispatch(Action("KEY", 1))
    store.dispatch(Action("KEY", 2))
    [(_, fire)] = clock.timers.values()
    task.cancel()
    assert ended(task) is SagaCancelled
    fire()
    assert left(store) == {}
    assert seen(store, "NOTED")[1:] == []


def test_a_predicate_that_raises_ends_it(throttled, settle, ended, left):
    """The saga gets the error, and nothing that was kept is started."""

    def fits(action):
        return 1 / action.payload

    store, clock, task = throttled(watch(fits), initial_state=None, reducer=lambda s, a: s)
    for n in (1, 2, 0):
        store.dispatch(Action("KEY", n))
    assert ended(task) is ZeroDivisionError
    settle(store)
    assert left(store) == {}
    clock.advance(100)
    assert left(store) == {}


def test_a_clock_that_sets_no_timers_fails_the_saga_that_watches(throttled, ended, seen, left):
    """The dispatch goes on."""
    store, clock, task = throttled(watch())
    clock.call_later = None
    store.dispatch(Action("KEY", 1))
    assert ended(task) is TypeError
    assert seen(store, "KEY") == [1]
    assert left(store) == {}


def test_by_the_real_clock_the_newest_comes_last(new_store, park, settle, together, ended, frantic):
    """Twenty times, from several threads: the latest action of all is handled after the others."""

    def wait_for_last():
        yield Take("LAST")

    for _ in range(20):
        store, noted = new_store(lambda state, action: state, None, max_workers=1), []

        def handle(action, noted=noted):
            noted.append(action.payload)
            if action.payload == "last":
                yield Put(Action("LAST"))

        def send(store=store):
            for n in range(20):
                store.dispatch(Action("KEY", n))

        park(store, watch(saga=handle, seconds=0.0005))
        waiting = park(store, wait_for_last())
        together(send, send)
        store.dispatch(Action("KEY", "last"))
        assert ended(waiting) is None
        assert noted[-1] == "last"
        store.shutdown()


@pytest.mark.parametrize(
    ("seconds", "kind", "saga"), [(-1, "KEY", print), (1, 5, print), (1, "KEY", 5)]
)
def test_a_malformed_throttle_is_refused_where_it_is_written(seconds, kind, saga):
    """The mistake shows at construction."""
    with pytest.raises((TypeError, ValueError), match="Throttle"):
        Throttle(seconds, kind, saga)
