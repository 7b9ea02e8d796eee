"""Many threads at one store: serialized dispatches, listeners in turn, reads without a lock."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from milo_core import Action, StateError, Store, replay

REPEATS = pytest.mark.parametrize("repeat", range(20))
THREADS = 8


def journal(state, action):
    return (*state, action.type)


def count(state, action):
    return state + 1 if action.type == "ADD" else state


@REPEATS
def test_no_dispatch_is_lost(together, repeat):
    """Eight threads dispatching at once: every action counts, recorded in one order."""
    store = Store(journal, (), record=True)

    def work(name):
        for number in range(25):
            store.dispatch(Action(f"{name}{number}"))

    together(*[lambda name=name: work(name) for name in "abcdefgh"])
    assert len(store.state) == THREADS * 25 + 1
    assert store.state == tuple(entry["action_type"] for entry in store.recording)
    for name in "abcdefgh":
        mine = [kind for kind in store.state if kind.startswith(name)]
        assert mine == [f"{name}{number}" for number in range(25)]


@REPEATS
def test_reducers_run_one_at_a_time(together, repeat):
    """No reducer call begins before the one before it has ended."""
    inside, overlaps = [], []

    def reducer(state, action):
        inside.append(action)
        overlaps.append(len(inside) > 1)
        inside.pop()
        return state

    store = Store(reducer, 0)
    together(*[lambda: [store.dispatch(Action("GO")) for _ in range(50)]] * THREADS)
    assert not any(overlaps)


@REPEATS
def test_listeners_run_one_at_a_time(together, repeat):
    """Listeners of all threads share one turn, and each dispatch has its round."""
    store, inside, overlaps = Store(count, 0), [], []

    def listener():
        inside.append(threading.get_ident())
        overlaps.append(len(set(inside)) > 1)
        inside.pop()

    store.subscribe(listener)
    store.subscribe(listener)
    together(*[lambda: [store.dispatch(Action("ADD")) for _ in range(20)]] * THREADS)
    assert len(overlaps) == 2 * THREADS * 20
    assert not any(overlaps)


@REPEATS
def test_listeners_dispatch_from_all_threads(together, repeat):
    """Listeners that dispatch again, on eight threads at once, end and lose nothing."""
    store, here = Store(count, 0), threading.local()

    def again():
        if not getattr(here, "nested", False):
            here.nested = True
            store.dispatch(Action("ADD"))
            here.nested = False

    store.subscribe(again)
    together(*[lambda: [store.dispatch(Action("ADD")) for _ in range(20)]] * THREADS)
    assert store.state == 2 * THREADS * 20


@REPEATS
def test_subscribing_from_all_threads(together, repeat):
    """Subscriptions that come and go during dispatches neither get lost nor remain."""
    store, heard = Store(count, 0), []
    store.subscribe(lambda: heard.append(True))

    def come_and_go():
        for _ in range(20):
            leave = store.subscribe(lambda: None)
            store.dispatch(Action("ADD"))
            leave()

    together(*[come_and_go] * THREADS)
    assert len(heard) == THREADS * 20
    assert len(store._listeners) == 1


@REPEATS
def test_reading_does_not_wait_for_a_reducer(gate, repeat):
    """While a reducer runs, other threads read the state before it, and may subscribe after."""
    inside, leave = gate(), gate()

    def reducer(state, action):
        if action.type == "SLOW":
            inside.set()
            leave.pass_through()
            return "after"
        return state

    store = Store(reducer, "before")
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.dispatch, Action("SLOW"))
        inside.pass_through()
        read = (store.state, store.get_state(), store.quit_requested, store.exit_code)
        views = (store.view_state, store.pool_active)
        leave.set()
        writing.result(60)
    assert read == ("before", "before", False, 0)
    assert views == (None, 0)
    assert store.state == "after"


def directly(dispatch):
    """The inner dispatch comes from the reducer itself."""
    dispatch()


def through_a_listener_elsewhere(dispatch):
    """The inner dispatch comes from a listener of another store, called by its dispatch."""
    other = Store(count, 0)
    other.subscribe(dispatch)
    other.dispatch(Action("ADD"))


def through_a_reducer_elsewhere(dispatch):
    """The inner dispatch comes from another store's reducer."""
    Store(lambda state, action: dispatch(), 0)


@REPEATS
@pytest.mark.parametrize("middleware", [(), (lambda next_dispatch, get_state: next_dispatch,)])
@pytest.mark.parametrize(
    "way", [directly, through_a_listener_elsewhere, through_a_reducer_elsewhere]
)
def test_a_dispatch_inside_a_reducer_never_hangs(together, caplog, way, middleware, repeat):
    """Directly, through middleware or through another store: refused, on every thread at once."""
    refused = []

    def reducer(state, action):
        if action.type == "NEST":

            def inner():
                try:
                    store.dispatch(Action("ADD"))
                except StateError as error:
                    refused.append(error)
                    raise

            way(inner)
        return count(state, action)

    def nest():
        try:
            store.dispatch(Action("NEST"))
        except StateError:
            return

    store = Store(reducer, 0, middleware)
    together(*[nest, lambda: store.dispatch(Action("ADD"))] * 4)
    assert len(refused) == 4
    assert all("inside a reducer" in str(error) for error in refused)
    assert store.state == 4


@REPEATS
def test_a_failing_reducer_releases_the_lock(together, repeat):
    """Errors on some threads keep no other thread from dispatching."""
    store = Store(lambda s, a: count(s, a) if a.type != "FAIL" else 1 / 0, 0)

    def fail():
        for _ in range(20):
            with pytest.raises(StateError):
                store.dispatch(Action("FAIL"))

    together(*[fail, lambda: [store.dispatch(Action("ADD")) for _ in range(20)]] * 4)
    assert store.state == 80


@REPEATS
def test_a_recording_on_disk_is_whole(together, tmp_path, repeat):
    """Lines of eight threads do not run into each other."""
    store = Store(count, 0, record=tmp_path / "session.jsonl")
    together(*[lambda: [store.dispatch(Action("ADD", "x" * 99)) for _ in range(10)]] * THREADS)
    assert replay(tmp_path / "session.jsonl", count, 0) == store.state == 80
