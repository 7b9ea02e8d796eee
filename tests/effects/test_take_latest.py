"""TakeLatest keeps the saga of the latest action only."""

import pytest

from milo_core import Action
from milo_effects import Delay, Put, SagaCancelled, Take, TakeLatest


def watch(handle):
    yield TakeLatest("SEARCH", handle)


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
    store = new_store(lambda state, action: state, None, max_workers=4)

    def handle(action):
        yield Take("NEVER")

    park(store, watch(handle))

    def send():
        for _ in range(50):
            store.dispatch(Action("SEARCH"))

    together(*[send] * 4)
    settle(store)
    assert left(store) == {"tasks": 2, "takers": 2}


@pytest.mark.parametrize(("kind", "saga"), [(5, print), ("SEARCH", 5)])
def test_a_malformed_watcher_is_refused_where_it_is_written(kind, saga):
    """The mistake shows at construction."""
    with pytest.raises(TypeError, match="TakeLatest takes"):
        TakeLatest(kind, saga)
