"""run_saga(cancel=event): an event of the caller's cancels, without anybody polling it."""

import gc
import threading
import weakref
from functools import partial

import pytest

from milo_core import Action
from milo_effects import Fork, SagaCancelled, SagaContext, Select, Take
from milo_effects._events import unwatch_event, watch_event


def wait():
    return (yield Take("GO"))


class Watcher:
    def __init__(self):
        self.times = 0

    def cancel_tree(self):
        self.times += 1


def is_wrapped(event):
    return "set" in vars(event)


def test_setting_the_event_cancels_the_saga(new_store, park, ended):
    """From the thread that sets it, at once."""
    store, event = new_store(), threading.Event()
    task = park(store, wait(), cancel=event)
    event.set()
    assert task.is_cancelled
    assert ended(task) is SagaCancelled


def test_an_event_that_is_set_already_prevents_the_first_step(new_store, ended, reports):
    """The saga never runs, and is reported."""
    store, event, steps = new_store(), threading.Event(), []
    event.set()

    def saga():
        steps.append(1)
        yield Take("GO")

    assert ended(store.run_saga(saga(), event)) is SagaCancelled
    assert steps == []
    assert reports(store) == [("@@SAGA_CANCELLED",)]


@pytest.mark.parametrize("how", ["returns", "is cancelled", "shutdown"])
def test_the_events_own_set_is_back_afterwards(new_store, park, settle, how):
    """However the saga ends, the event is as it was given."""
    store, event = new_store(), threading.Event()
    task = park(store, wait(), cancel=event)
    assert is_wrapped(event)
    if how == "returns":
        store.dispatch(Action("GO"))
    elif how == "is cancelled":
        event.set()
    else:
        store.shutdown()
    settle(store)
    assert task.done()
    assert not is_wrapped(event)
    assert event.set.__func__ is threading.Event.set


def test_after_the_saga_the_event_means_nothing(new_store, park, settle, hangs):
    """Setting it later does not turn a result into a cancellation."""
    store, event = new_store(), threading.Event()
    task = park(store, wait(), cancel=event)
    store.dispatch(Action("GO", 1))
    settle(store)
    event.set()
    assert task.result(hangs) == Action("GO", 1)


def test_one_event_may_stand_for_several_sagas(new_store, park, settle, ended):
    """All are cancelled; the last to end unwraps it."""
    store, event = new_store(), threading.Event()
    tasks = [park(store, wait(), cancel=event) for _ in range(3)]
    event.set()
    assert [ended(task) for task in tasks] == [SagaCancelled] * 3
    settle(store)
    assert not is_wrapped(event)


def test_event_and_context_together(new_store, park, settle, reports):
    """Either of them cancels the saga."""
    store = new_store()
    for use in ("event", "context"):
        event, context = threading.Event(), SagaContext()
        assert park(store, wait(), cancel=event, context=context) is context
        event.set() if use == "event" else context.cancel_tree()
        settle(store)
        assert not is_wrapped(event)
    assert reports(store) == [("@@SAGA_CANCELLED",)] * 2


def test_who_waits_on_the_event_is_woken_as_ever(new_store, park):
    """The event still works as an event."""
    store, event, woken = new_store(), threading.Event(), threading.Event()
    park(store, wait(), cancel=event)
    thread = threading.Thread(target=lambda: event.wait(60) and woken.set())
    thread.start()
    event.set()
    thread.join(60)
    assert woken.is_set()
    assert event.is_set()
    event.clear()
    assert not event.is_set()


def test_a_subclass_keeps_its_own_set():
    """The event's class decides what setting means."""
    heard = []

    class Loud(threading.Event):
        def set(self):
            heard.append("set")
            super().set()

    event, watcher = Loud(), Watcher()
    watch_event(event, watcher)
    event.set()
    assert heard == ["set"]
    assert watcher.times == 1
    unwatch_event(event, watcher)
    event.set()
    assert heard == ["set", "set"]
    assert watcher.times == 1


def test_watchers_come_and_go_apart():
    """The event is wrapped while somebody watches; leaving twice is harmless."""
    event, first, second = threading.Event(), Watcher(), Watcher()
    watch_event(event, first)
    watch_event(event, second)
    unwatch_event(event, first)
    assert is_wrapped(event)
    event.set()
    assert (first.times, second.times) == (0, 1)
    for _ in range(2):
        unwatch_event(event, second)
    assert not is_wrapped(event)


def test_a_long_lived_event_keeps_no_context_alive():
    """A context made for it can be forgotten."""
    event = threading.Event()
    context = weakref.ref(SagaContext(cancel=event))
    gc.collect()
    assert context() is None
    event.set()
    assert event.is_set()


def test_beginning_to_watch_while_the_event_is_set_always_cancels(together, frantic):
    """A hundred times: whoever joins the watchers around the moment of setting is told."""
    for _ in range(100):
        event, watchers = threading.Event(), [Watcher(), Watcher(), Watcher()]
        watch_event(event, watchers[0])
        watch = [partial(watch_event, event, each) for each in watchers[1:]]
        together(lambda event=event: event.set(), *watch)
        assert all(watcher.times >= 1 for watcher in watchers)


def test_a_set_that_was_not_heard_is_noticed_when_a_child_is_started(new_store, ended):
    """It was looked up before it was wrapped: the saga goes on until it forks, and no further."""
    store, event, reached = new_store(), threading.Event(), []
    set_it = event.set

    def saga():
        set_it()
        yield Select()
        reached.append("behind the event")
        yield Fork(wait(), attached=True)
        reached.append("behind the fork")

    assert ended(store.run_saga(saga, event)) is SagaCancelled
    assert reached == ["behind the event"]
