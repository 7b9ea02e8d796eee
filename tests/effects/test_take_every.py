"""TakeEvery starts a saga for every action of a type."""

import threading

import pytest

from milo_core import Action
from milo_effects import Call, Put, SagaCancelled, Take, TakeEvery


def test_every_action_of_several_threads_is_handled(new_store, park, settle, together):
    """Of N actions dispatched from several threads, N sagas are started, one for each."""
    store = new_store(lambda state, action: state, None, max_workers=4)
    handled, lock = [], threading.Lock()

    def note(action):
        with lock:
            handled.append(action.payload)

    def handle(action):
        yield Call(note, (action,))

    def watch():
        yield TakeEvery("CLICK", handle)

    park(store, watch())

    def send(thread):
        for n in range(100):
            store.dispatch(Action("CLICK", (thread, n)))

    together(*(lambda thread=thread: send(thread) for thread in range(4)))
    settle(store)
    assert sorted(handled) == [(thread, n) for thread in range(4) for n in range(100)]


def test_children_begin_in_the_order_of_dispatch(new_store, park, settle, together, seen):
    """On one worker the sagas run in exactly the order in which the reducer saw the actions."""
    store, begun = new_store(max_workers=1), []

    def handle(action):
        begun.append(action.payload)
        return
        yield

    def watch():
        yield TakeEvery("CLICK", handle)

    park(store, watch())

    def send(thread):
        for n in range(100):
            store.dispatch(Action("CLICK", (thread, n)))

    together(*(lambda thread=thread: send(thread) for thread in range(4)))
    settle(store)
    assert begun == seen(store, "CLICK")


def test_it_never_resumes_its_saga(new_store, park, settle, seen):
    """What stands behind it is never reached, however many actions come."""
    store = new_store()

    def handle(action):
        yield Put(Action("HANDLED", action.payload))

    def watch():
        yield TakeEvery("CLICK", handle)
        yield Put(Action("PASSED"))

    task = park(store, watch())
    for n in range(3):
        store.dispatch(Action("CLICK", n))
    settle(store)
    assert sorted(seen(store, "HANDLED")) == [0, 1, 2]
    assert seen(store, "PASSED") == []
    assert not task.done()


def test_a_saga_without_parameters_is_called_bare(new_store, park, settle, seen):
    """A function that takes nothing is started for every action all the same."""
    store = new_store()

    def handle():
        yield Put(Action("HANDLED"))

    def watch():
        yield TakeEvery("CLICK", handle)

    park(store, watch())
    store.dispatch(Action("CLICK"))
    settle(store)
    assert seen(store, "HANDLED") == [None]


def test_cancelling_it_cancels_its_children(new_store, park, settle, ended, reports, left):
    """Its children are attached, and it hears of no action any more."""
    store = new_store()

    def handle(action):
        yield Take("NEVER")

    def watch():
        yield TakeEvery("CLICK", handle)

    task = park(store, watch())
    for _ in range(3):
        store.dispatch(Action("CLICK"))
    settle(store)
    task.cancel()
    assert ended(task) is SagaCancelled
    settle(store)
    assert reports(store) == [("@@SAGA_CANCELLED",)] * 4
    assert left(store) == {}
    store.dispatch(Action("CLICK"))
    settle(store)
    assert len(reports(store)) == 4


def test_a_child_that_fails_stops_neither_it_nor_the_others(new_store, park, settle, seen, reports):
    """The error is reported; the next action has its saga."""
    store = new_store()

    def handle(action):
        if action.payload == 1:
            raise ValueError("one")
        yield Put(Action("HANDLED", action.payload))

    def watch():
        yield TakeEvery("CLICK", handle)

    park(store, watch())
    for n in range(3):
        store.dispatch(Action("CLICK", n))
    settle(store)
    assert sorted(seen(store, "HANDLED")) == [0, 2]
    assert reports(store) == [("@@SAGA_ERROR", "ValueError")]


def test_a_saga_that_lives_on_after_its_cancellation_can_watch(
    new_store, park, settle, seen, monkeypatch
):
    """Who catches ``SagaCancelled`` and watches again gets children that run."""
    store = new_store()

    def handle(action):
        yield Put(Action("HANDLED"))

    def watch():
        try:
            yield Take("NEVER")
        except SagaCancelled:
            yield TakeEvery("CLICK", handle)

    park(store, watch()).cancel()
    settle(store)
    store.dispatch(Action("CLICK"))
    settle(store)
    assert seen(store, "HANDLED") == [None]
    monkeypatch.setattr("milo_effects.runtime.CLEANUP_SECONDS", 0.0)
    store.shutdown()


@pytest.mark.parametrize(("kind", "saga"), [(5, print), ("CLICK", 5), ("CLICK", (x for x in ()))])
def test_a_malformed_watcher_is_refused_where_it_is_written(kind, saga):
    """The mistake shows at construction: a generator could run only once."""
    with pytest.raises(TypeError, match="TakeEvery takes"):
        TakeEvery(kind, saga)
