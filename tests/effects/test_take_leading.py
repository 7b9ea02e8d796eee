"""TakeLeading ignores actions while a saga it started is still running."""

import gc
import threading
import weakref

import pytest

from milo_core import Action
from milo_effects import Call, Put, SagaCancelled, Take, TakeLeading


def watch(handle, key=None):
    yield TakeLeading("SAVE", handle, key=key)


def document(action):
    return action.payload[0]


def ignore(state, action):
    return state


def save(action):
    yield Take("FINISH")
    yield Put(Action("SAVED", action.payload))


def test_actions_are_ignored_while_a_saga_runs(new_store, park, settle, seen):
    """The first action has its saga; the next that has one comes after that has ended."""
    store = new_store()
    park(store, watch(save))
    for n in range(6):
        store.dispatch(Action("SAVE", n))
        settle(store)
        if n % 3 == 2:
            store.dispatch(Action("FINISH"))
            settle(store)
    assert seen(store, "SAVED") == [0, 3]


@pytest.mark.parametrize("how", ["returns", "raises", "is cancelled"])
def test_however_the_saga_ends_the_next_may_start(new_store, park, settle, seen, how):
    """A failed or cancelled saga is not in the way of the next."""
    store, begun = new_store(), []

    def handle(action):
        begun.append(action.payload)
        yield Take("FINISH")
        if how == "raises":
            raise ValueError("over")
        if how == "is cancelled":
            raise SagaCancelled("by hand")

    park(store, watch(handle))
    for n in range(3):
        store.dispatch(Action("SAVE", n))
        settle(store)
        store.dispatch(Action("FINISH"))
        settle(store)
    assert begun == [0, 1, 2]


def test_with_a_key_the_first_of_each_key_runs(new_store, park, settle, seen):
    """An action is ignored only while a saga of its own key runs."""
    store = new_store(max_workers=1)
    park(store, watch(save, document))
    for change in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2)]:
        store.dispatch(Action("SAVE", change))
    settle(store)
    store.dispatch(Action("FINISH"))
    settle(store)
    assert seen(store, "SAVED") == [("a", 1), ("b", 1), ("c", 1)]
    store.dispatch(Action("SAVE", ("a", 3)))
    settle(store)
    store.dispatch(Action("FINISH"))
    settle(store)
    assert seen(store, "SAVED")[3:] == [("a", 3)]


def test_a_key_is_forgotten_when_its_saga_ends(new_store, park, settle, left):
    """However the sagas of many keys end, nothing of any key is kept."""
    store, keys = new_store(ignore, None), []

    class Document:
        pass

    def handle(action):
        if action.payload[1] % 2:
            yield Take("FINISH")
        else:
            raise ValueError("over")

    park(store, watch(handle, document))
    for n in range(300):
        changed = Document()
        keys.append(weakref.ref(changed))
        store.dispatch(Action("SAVE", (changed, n)))
    del changed
    settle(store)
    store.dispatch(Action("FINISH"))
    settle(store)
    gc.collect()
    assert sum(each() is not None for each in keys) == 0
    assert left(store) == {"tasks": 1, "takers": 1}


def test_a_key_that_raises_fails_the_saga_that_watches(new_store, park, ended, seen, left):
    """Its error ends the watch; the dispatch goes on."""
    store = new_store()
    task = park(store, watch(save, document))
    store.dispatch(Action("SAVE", 5))
    assert ended(task) is TypeError
    assert seen(store, "SAVE") == [5]
    assert left(store) == {}


def test_cancelling_it_cancels_its_sagas(new_store, park, settle, ended, left):
    """Its sagas are attached."""
    store = new_store()
    task = park(store, watch(save, document))
    for name in "abc":
        store.dispatch(Action("SAVE", (name, 1)))
    settle(store)
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


def test_from_several_threads_no_two_of_a_key_run_at_once(
    new_store, park, settle, together, frantic
):
    """However dispatches and ends interleave, twenty times: one saga of a key at a time."""

    def errors(state, action):
        return (*state, action.payload) if action.type == "@@SAGA_ERROR" else state

    for _ in range(20):
        store, running, ran = new_store(errors, (), max_workers=4), set(), set()
        lock = threading.Lock()

        def begin(name, lock=lock, running=running, ran=ran):
            with lock:
                assert name not in running
                running.add(name)
                ran.add(name)

        def handle(action, begin=begin, running=running):
            yield Call(begin, (document(action),))
            yield Call(running.remove, (document(action),))

        def send(store=store):
            for n in range(8):
                for name in "ab":
                    store.dispatch(Action("SAVE", (name, n)))

        park(store, watch(handle, document))
        together(*[send] * 4)
        settle(store)
        assert store.state == ()
        assert (ran, running) == ({"a", "b"}, set())
        store.shutdown()


@pytest.mark.parametrize(
    ("kind", "saga", "key"),
    [(5, print, None), ("SAVE", 5, None), ("SAVE", print, "user")],
)
def test_a_malformed_watcher_is_refused_where_it_is_written(kind, saga, key):
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match=r"TakeLeading(\(key=\.\.\.\))? takes"):
        TakeLeading(kind, saga, key=key)
