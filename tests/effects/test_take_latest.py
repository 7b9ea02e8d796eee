"""TakeLatest keeps the saga of the latest action only."""

import gc
import weakref
from functools import partial

import pytest

from milo_core import Action, StateError
from milo_effects import Delay, Fork, Put, Race, SagaCancelled, Take, TakeLatest, Timeout


def watch(handle, key=None):
    yield TakeLatest("SEARCH", handle, key=key)


def user(action):
    return action.payload[0]


def ignore(state, action):
    return state


def test_the_saga_before_is_cancelled_first(new_store, park, settle, seen, reports):
    """Each action cancels the saga of the one before; only the last one finishes."""
    store = new_store()

    def handle(action):
        yield Take("FINISH")
        yield Put(Action("FOUND", action.payload))

    park(store, watch(handle))
    for n in range(4):
        store.dispatch(Action("SEARCH", n))
    settle(store)
    store.dispatch(Action("FINISH"))
    settle(store)
    assert seen(store, "FOUND") == [3]
    assert reports(store) == [("@@SAGA_CANCELLED",)] * 3


def test_a_saga_that_has_ended_is_left_alone(new_store, park, settle, seen, reports):
    """What finished before the next action came is not cancelled."""
    store = new_store()

    def handle(action):
        yield Put(Action("FOUND", action.payload))

    park(store, watch(handle))
    for n in range(3):
        store.dispatch(Action("SEARCH", n))
        settle(store)
    assert seen(store, "FOUND") == [0, 1, 2]
    assert reports(store) == []


def test_the_cancelled_one_may_clean_up_while_the_next_runs(new_store, park, settle, seen):
    """Cleanup is not cut short by the saga that takes over."""
    store = new_store()

    def handle(action):
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0.001)
            yield Put(Action("CLEANED", action.payload))

    task = park(store, watch(handle))
    store.dispatch(Action("SEARCH", 1))
    settle(store)
    store.dispatch(Action("SEARCH", 2))
    task.cancel()
    store.shutdown()
    assert 1 in seen(store, "CLEANED")


def test_cancelling_it_cancels_its_saga(new_store, park, settle, ended, left):
    """Its saga is attached."""
    store = new_store()

    def handle(action):
        yield Take("NEVER")

    task = park(store, watch(handle))
    store.dispatch(Action("SEARCH"))
    settle(store)
    task.cancel()
    assert ended(task) is SagaCancelled
    settle(store)
    assert left(store) == {}


def test_from_several_threads_exactly_one_stays(new_store, park, settle, together, left, frantic):
    """However dispatches interleave, all sagas but one are cancelled."""
    store = new_store(ignore, None, max_workers=4)

    def handle(action):
        yield Take("NEVER")

    park(store, watch(handle))

    def send():
        for _ in range(50):
            store.dispatch(Action("SEARCH"))

    together(*[send] * 4)
    settle(store)
    assert left(store) == {"tasks": 2, "takers": 2}


def test_what_the_old_saga_had_attached_is_cancelled_with_it(new_store, park, settle, left):
    """The whole tree below the old saga goes, before the new one begins."""
    store, cancelled = new_store(max_workers=1), []

    def wait():
        yield Take("NEVER")

    def handle(action):
        tasks = []
        for _ in range(3):
            tasks.append((yield Fork(wait, attached=True)))  # noqa: PERF401  # cannot yield in one
        cancelled.append([each.is_cancelled for group in groups for each in group])
        groups.append(tasks)
        yield Take("NEVER")

    groups = []
    park(store, watch(handle))
    for _ in range(3):
        store.dispatch(Action("SEARCH"))
        settle(store)
    assert cancelled == [[], [True] * 3, [True] * 6]
    assert left(store) == {"tasks": 5, "takers": 5}


def test_with_a_key_the_latest_of_each_key_stays(new_store, park, settle, seen, reports):
    """An action cancels only the saga of its own key."""
    store = new_store(max_workers=1)

    def handle(action):
        yield Take("FINISH")
        yield Put(Action("FOUND", action.payload))

    park(store, watch(handle, user))
    for search in [("ann", 1), ("bob", 1), ("ann", 2), ("ann", 3), ("cid", 1)]:
        store.dispatch(Action("SEARCH", search))
    settle(store)
    store.dispatch(Action("FINISH"))
    settle(store)
    assert sorted(seen(store, "FOUND")) == [("ann", 3), ("bob", 1), ("cid", 1)]
    assert reports(store) == [("@@SAGA_CANCELLED",)] * 2


def test_a_key_is_forgotten_when_its_saga_ends(new_store, park, settle, left):
    """However the sagas of many keys end, nothing of any key is kept."""
    store, keys = new_store(ignore, None), []

    class User:
        pass

    def handle(action):
        how = action.payload[1] % 3
        if how == 0:
            yield Take("FINISH")
        elif how == 1:
            raise ValueError("over")

    park(store, watch(handle, user))
    for n in range(300):
        someone = User()
        keys.append(weakref.ref(someone))
        store.dispatch(Action("SEARCH", (someone, n)))
        if n % 2:
            store.dispatch(Action("SEARCH", (someone, n + 3)))
    del someone
    settle(store)
    store.dispatch(Action("FINISH"))
    settle(store)
    gc.collect()
    assert sum(each() is not None for each in keys) == 0
    assert left(store) == {"tasks": 1, "takers": 1}


@pytest.mark.parametrize(
    ("key", "error"),
    [(lambda action: action.payload[5], IndexError), (lambda action: [], TypeError)],
)
def test_a_key_that_fails_fails_the_saga_that_watches(
    new_store, park, settle, ended, seen, left, key, error
):
    """A key function that raises, or returns what cannot be a key, disturbs nobody else."""
    store = new_store(max_workers=1)

    def handle(action):
        yield Put(Action("FOUND", action.payload))

    failing = park(store, watch(handle, key))
    park(store, watch(handle, user))
    store.dispatch(Action("SEARCH", ("ann", 1)))
    assert ended(failing) is error
    settle(store)
    assert seen(store, "SEARCH") == seen(store, "FOUND") == [("ann", 1)]
    assert left(store) == {"tasks": 1, "takers": 1}


def test_a_key_that_dispatches_fails_the_saga_that_watches(new_store, park, ended, seen):
    """It runs under the store's lock, where that is refused, as in predicates."""
    store = new_store()
    task = park(store, watch(print, lambda action: store.dispatch(Action("NESTED"))))
    store.dispatch(Action("SEARCH", 1))
    assert ended(task) is StateError
    assert seen(store, "SEARCH") == [1]
    assert seen(store, "NESTED") == []


def test_a_key_that_fails_goes_to_who_may_catch_it(new_store, park, hangs):
    """The error is thrown at the ``yield``, and the saga goes on as it likes."""
    store = new_store(max_workers=1)

    def saga():
        try:
            yield from watch(print, user)
        except TypeError:
            return "caught"

    task = park(store, saga())
    store.dispatch(Action("SEARCH", 5))
    assert task.result(hangs) == "caught"


def test_from_several_threads_exactly_one_of_each_key_stays(
    new_store, park, settle, together, left, frantic
):
    """However dispatches and ends interleave, twenty times: each key keeps its latest."""

    def handle(action):
        if action.payload[1] % 3:
            yield Take("NEVER")

    for _ in range(20):
        store = new_store(ignore, None, max_workers=4)
        park(store, watch(handle, user))

        def send(store=store):
            for n in range(6):
                for someone in ("ann", "bob"):
                    store.dispatch(Action("SEARCH", (someone, n)))

        together(*[send] * 4)
        for someone in ("ann", "bob", "cid"):
            store.dispatch(Action("SEARCH", (someone, 1)))
        settle(store)
        assert left(store) == {"tasks": 4, "takers": 4}
        store.shutdown()


def test_sagas_that_cancel_each_other_never_lock_each_other_out(
    new_store, park, settle, together, left, frantic
):
    """Sagas and threads dispatch what cancels trees of sagas that dispatch, and all goes on."""

    def handle(action):
        others = [key for key in "abc" if key != action.payload[0]]
        if action.payload[1]:
            for key in others:
                yield Put(Action("SEARCH", (key, action.payload[1] - 1)))
        yield Race((Take("NEVER"), Timeout(Take("NEVER"), 60)))

    for _ in range(20):
        store = new_store(ignore, None, max_workers=4)
        park(store, watch(handle, user))

        def send(key, store=store):
            for n in range(4):
                store.dispatch(Action("SEARCH", (key, n)))

        together(*(partial(send, key) for key in "abc"))
        settle(store)
        assert left(store)["tasks"] == 1 + 3 * 4
        store.shutdown()


@pytest.mark.parametrize(
    ("kind", "saga", "key"),
    [(5, print, None), ("SEARCH", 5, None), ("SEARCH", print, "user")],
)
def test_a_malformed_watcher_is_refused_where_it_is_written(kind, saga, key):
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match=r"TakeLatest(\(key=\.\.\.\))? takes"):
        TakeLatest(kind, saga, key=key)
