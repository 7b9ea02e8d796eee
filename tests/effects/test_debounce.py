"""Debounce starts a saga once things have been quiet for a while."""

import gc
import threading
import weakref
from functools import partial

import pytest

from milo_core import Action
from milo_effects import Call, Debounce, Delay, Put, SagaCancelled, Take


def pause():
    yield Delay(0)


def test_only_the_last_of_several_fires(new_store, run, settle, seen, left, gate):
    """Each new one cancels what has not fired; the saga goes on at once, with ``None``."""
    store, saved = new_store(max_workers=2), gate()

    def save():
        yield Put(Action("SAVED"))
        saved.set()

    def saga():
        got = []
        for _ in range(10):
            got.append((yield Debounce(60, save)))  # noqa: PERF401  # cannot yield in one
        got.append((yield Debounce(0, save)))
        yield Call(saved.pass_through)
        return got

    assert run(store, saga()) == [None] * 11
    settle(store)
    assert seen(store, "SAVED") == [None]
    assert left(store) == {}


def test_targets_and_sagas_are_debounced_apart(new_store, park, settle, left):
    """There is one pending timer for each saga and target."""
    store = new_store()

    def first():
        yield Delay(0)

    def second():
        yield Delay(0)

    def saga():
        for _ in range(3):
            yield Debounce(60, first)
            yield Debounce(60, second)
        yield Take("NEVER")

    park(store, saga())
    park(store, saga())
    assert left(store)["timers"] == 4


@pytest.mark.parametrize("how", ["returns", "raises", "is cancelled"])
def test_the_parents_end_cancels_what_has_not_fired(new_store, park, settle, left, seen, how):
    """However the parent ends, nothing starts afterwards."""
    store = new_store()

    def save():
        yield Put(Action("SAVED"))

    def saga():
        yield Debounce(60, save)
        if how == "is cancelled":
            yield Take("NEVER")
        if how == "raises":
            raise ValueError("over")

    task = park(store, saga())
    task.cancel()
    settle(store)
    assert task.done()
    assert left(store) == {}
    assert seen(store, "SAVED") == []


def test_what_it_started_is_attached(new_store, settle, ended, left, gate):
    """The fired saga is cancelled with its parent."""
    store, begun = new_store(), gate()

    def save():
        begun.set()
        yield Take("NEVER")

    def saga():
        yield Debounce(0, save)
        yield Take("NEVER")

    task = store.run_saga(saga())
    begun.pass_through()
    settle(store)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


def test_what_was_set_before_a_cancellation_does_not_run_in_its_cleanup(
    new_store, park, settle, seen, ended, gate
):
    """A timer that fires while its saga cleans up starts nothing that runs."""
    store, late = new_store(), gate()

    def save():
        yield Put(Action("SAVED"))

    def saga():
        try:
            yield Debounce(0, save)
            yield Take("NEVER")
        finally:
            yield Take("FINISH")

    park(store, pause())
    new_store.runtime(store).clock.call_later(0, late.pass_through)
    task = park(store, saga())
    task.cancel()
    settle(store)
    late.set()
    passed = gate()
    new_store.runtime(store).clock.call_later(0.001, passed.set)
    passed.pass_through()
    store.dispatch(Action("FINISH"))
    assert ended(task) is SagaCancelled
    settle(store)
    assert seen(store, "SAVED") == []


def test_a_fired_target_is_forgotten(new_store, run):
    """A long-lived saga that debounces ever new functions does not keep them."""
    store, targets, saved = new_store(max_workers=2), [], threading.Semaphore(0)

    class Document:
        pass

    def save(document):
        saved.release()
        yield Delay(0)

    def saga():
        for _ in range(10):
            target = partial(save, Document())
            targets.append(weakref.ref(target.args[0]))
            yield Debounce(0, target)
            del target
            yield Call(saved.acquire)
        yield Delay(0.01)
        gc.collect()
        return sum(each() is not None for each in targets)

    assert run(store, saga()) <= 1


def test_firing_and_replacing_at_the_same_time_never_loses_the_last(new_store, run, gate):
    """A hundred replacements at the very moment of firing: the last one always fires."""
    store, last = new_store(lambda state, action: state, None, max_workers=2), gate()

    def save():
        if final:
            last.set()
        yield Delay(0)

    final = []

    def saga():
        for _ in range(100):
            yield Debounce(0.0001, save)
            yield Delay(0.0001)
        final.append(True)
        yield Debounce(0, save)
        return (yield Call(last.pass_through))

    assert run(store, saga()) == "passed"


def test_a_timer_that_fires_as_it_is_replaced_starts_nothing(new_store, park, settle, seen):
    """The clock may have taken the earlier timer when the next one is set."""

    class TooLate:
        """A clock whose timers can no longer be cancelled."""

        def __init__(self):
            self.callbacks = []

        def call_later(self, seconds, callback):
            self.callbacks.append(callback)
            return self

        def cancel(self):
            pass

        def pending(self):
            return 0

        def close(self):
            pass

    def nothing():
        return
        yield

    store, clock = new_store(), TooLate()
    park(store, nothing())  # makes the runtime
    new_store.runtime(store).clock = clock

    def save():
        yield Put(Action("SAVED"))

    def saga():
        yield Debounce(1, save)
        yield Debounce(1, save)
        yield Take("NEVER")

    park(store, saga())
    saved = []
    for fire in (*clock.callbacks, clock.callbacks[1]):
        fire()
        settle(store)
        saved.append(len(seen(store, "SAVED")))
    assert saved == [0, 1, 1]


@pytest.mark.parametrize(("seconds", "saga"), [(-1, print), (1, 5)])
def test_a_malformed_debounce_is_refused_where_it_is_written(seconds, saga):
    """The mistake shows at construction."""
    with pytest.raises((TypeError, ValueError), match="Debounce"):
        Debounce(seconds, saga)
