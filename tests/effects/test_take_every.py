"""TakeEvery starts a saga for every action of a type."""

import threading
from functools import partial

import pytest

from milo_core import Action
from milo_effects import Call, Put, SagaCancelled, Take, TakeEvery

THREADS = 8


def ignore(state, action):
    return state


def senders(store, each):
    """Functions for as many threads, each of which dispatches so many actions."""

    def send(thread):
        for n in range(each):
            store.dispatch(Action("CLICK", (thread, n)))

    return [partial(send, thread) for thread in range(THREADS)]


def note_on_begin(noted):
    """A watcher whose sagas note their action when they begin."""

    def handle(action):
        noted.append(action.payload)
        return
        yield

    yield TakeEvery("CLICK", handle)


def of_thread(noted, thread):
    return [n for sender, n in noted if sender == thread]


def test_20_000_of_20_000_actions_are_handled_in_dispatch_order(new_store, park, settle, together):
    """Of what eight threads dispatch nothing is lost, and each one's order is kept."""
    store, noted = new_store(ignore, None, max_workers=1), []
    park(store, note_on_begin(noted))
    together(*senders(store, 2_500))
    settle(store)
    assert len(noted) == THREADS * 2_500
    assert all(of_thread(noted, thread) == list(range(2_500)) for thread in range(THREADS))


@pytest.mark.parametrize("workers", [1, 4])
def test_however_the_threads_take_turns(new_store, park, settle, together, frantic, workers):
    """Twenty times, with threads that are interrupted all the time: the same."""
    for _ in range(20):
        store, noted = new_store(ignore, None, max_workers=workers), []
        park(store, note_on_begin(noted))
        together(*senders(store, 10))
        settle(store)
        assert sorted(noted) == [(thread, n) for thread in range(THREADS) for n in range(10)]
        if workers == 1:
            assert all(of_thread(noted, thread) == list(range(10)) for thread in range(THREADS))
        store.shutdown()


def test_every_action_of_several_threads_is_handled(new_store, park, settle, together):
    """Of N actions dispatched from several threads, N sagas are started, one for each."""
    store = new_store(ignore, None, max_workers=4)
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


def is_even(action):
    return isinstance(action.payload, int) and action.payload % 2 == 0


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("A", [("A", 1), ("A", 4)]),
        (("A", "B"), [("A", 1), ("B", 2), ("A", 4)]),
        (("A", "A"), [("A", 1), ("A", 4)]),
        (is_even, [("B", 2), ("A", 4)]),
        ("*", [("A", 1), ("B", 2), ("C", 3), ("A", 4)]),
    ],
)
def test_it_watches_whatever_can_be_taken(new_store, park, settle, pattern, expected):
    """A type, several, a predicate, or ``"*"``: each action that fits has one saga."""
    store, begun = new_store(max_workers=1), []

    def handle(action):
        begun.append((action.type, action.payload))
        return
        yield

    def watch():
        yield TakeEvery(pattern, handle)

    park(store, watch())
    for kind, n in [("A", 1), ("B", 2), ("C", 3), ("A", 4)]:
        store.dispatch(Action(kind, n))
    settle(store)
    assert begun == expected


def test_a_predicate_that_raises_fails_the_saga_that_watches(
    new_store, park, settle, seen, left, ended
):
    """The error is thrown at its ``yield``; other watchers and the dispatch know nothing of it."""
    store = new_store(max_workers=1)

    def fits(action):
        return action.type == "CLICK" and 1 / action.payload

    def handle(action):
        yield Put(Action("HANDLED", action.payload))

    def watch(pattern):
        yield TakeEvery(pattern, handle)

    def persist():
        try:
            yield from watch(fits)
        except ZeroDivisionError:
            yield from watch("AGAIN")

    failing, persisting, other = [
        park(store, saga) for saga in (watch(fits), persist(), watch("CLICK"))
    ]
    for n in (2, 0, 3):
        store.dispatch(Action("CLICK", n))
        settle(store)
    store.dispatch(Action("AGAIN", "again"))
    assert ended(failing) is ZeroDivisionError
    settle(store)
    assert not persisting.done() and not other.done()
    assert seen(store, "HANDLED") == [2, 2, 2, 0, 3, "again"]
    assert left(store) == {"tasks": 2, "takers": 2}


def test_signatures_that_cannot_be_read_are_given_the_action(new_store, park, settle, seen):
    """A callable that does not say what it takes is called with the action."""

    class Handle:
        @property
        def __signature__(self):
            raise ValueError("none")

        def __call__(self, action):
            yield Put(Action("HANDLED", action.payload))

    store = new_store()

    def watch():
        yield TakeEvery("CLICK", Handle())

    park(store, watch())
    store.dispatch(Action("CLICK", 5))
    settle(store)
    assert seen(store, "HANDLED") == [5]
