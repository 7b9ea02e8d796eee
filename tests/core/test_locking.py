"""Locks that many threads take: who finds one taken gives way under a GIL, and then waits."""

import threading

import pytest

from milo_core import Action, Store, _locking
from milo_core._locking import first_try, give_way, wait_for


@pytest.fixture
def naps(monkeypatch):
    """How often a thread gave its place away, and a way to have something happen then."""

    class Naps(list):
        meanwhile = staticmethod(lambda count: None)

        def __call__(self, seconds):
            self.append(seconds)
            self.meanwhile(len(self))

    noted = Naps()
    monkeypatch.setattr(_locking, "sleep", noted)
    return noted


@pytest.fixture(params=[True, False], ids=["gil", "free"])
def has_gil(request, monkeypatch):
    """The interpreter has a GIL, or has none, whichever it is that runs this."""
    monkeypatch.setattr(_locking, "_HAS_GIL", request.param)
    return request.param


@pytest.fixture
def gil(monkeypatch):
    """The interpreter has a GIL, as far as the module knows."""
    monkeypatch.setattr(_locking, "_HAS_GIL", True)


def held(lock, gate):
    """Have another thread hold ``lock``; what is returned has it let go, and waits for that."""
    taken, leave = gate(), gate()

    def hold():
        with lock:
            taken.set()
            leave.pass_through()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.pass_through()

    def let_go():
        leave.set()
        thread.join(60)

    return let_go


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
@pytest.mark.parametrize("turns", [1, 2, 4])
def test_a_lock_given_soon_is_taken_without_waiting(gil, naps, gate, kind, turns):
    """Its holder is let on a few times, and the lock is taken as soon as it is free."""
    lock = kind()
    let_go = held(lock, gate)
    naps.meanwhile = lambda count: let_go() if count == turns else None
    wait_for(lock)
    assert naps == [0] * turns
    assert not lock.acquire(False) if kind is threading.Lock else lock._is_owned()
    lock.release()


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_a_lock_that_is_not_given_is_waited_for(has_gil, naps, gate, together, kind):
    """After a few turns with a GIL, and at once without, the thread waits as for any lock."""
    lock, done = kind(), []
    let_go = held(lock, gate)

    def wait():
        wait_for(lock)
        done.append(True)
        lock.release()

    together(wait, let_go)
    assert done == [True]
    assert len(naps) <= (4 if has_gil else 0)


def test_the_turns_are_few(gil, naps):
    """Whoever holds on to a lock is not asked for ever: the thread goes to wait."""

    tries = []

    class NeverFree:
        def acquire(self, blocking=True):
            tries.append(blocking)
            return blocking

    wait_for(NeverFree())
    assert tries == [False] * len(naps) + [True]
    assert 0 < len(naps) < 10


def test_the_first_try_does_not_wait_under_a_gil(gil, gate):
    """It says whether it has the lock, which is re-entrant."""
    lock = threading.RLock()
    let_go = held(lock, gate)
    attempt = first_try(lock)
    assert attempt() is False
    let_go()
    assert attempt() and attempt()
    lock.release()
    lock.release()


def test_the_first_try_takes_the_lock_where_there_is_no_gil(monkeypatch, gate, together):
    """The lock's own way of waiting is right there, so there is no second try."""
    monkeypatch.setattr(_locking, "_HAS_GIL", False)
    lock, answers = threading.RLock(), []
    let_go = held(lock, gate)
    attempt = first_try(lock)

    def take():
        answers.append(attempt())
        lock.release()

    together(take, let_go)
    assert answers == [True]


def test_giving_way(has_gil, naps):
    """Only to who holds the lock, only under a GIL, and without taking it."""
    lock = threading.Lock()
    give_way(lock)
    assert naps == []
    with lock:
        give_way(lock)
    assert naps == ([0] if has_gil else [])
    assert lock.acquire(False)


# In a store


def test_a_dispatch_that_finds_the_store_busy_waits(has_gil, gate, together):
    """While one reducer call runs, another thread's action waits, and then has its turn."""
    begun, leave = gate(), gate()

    def reducer(state, action):
        if action.type == "SLOW":
            begun.set()
            leave.pass_through()
        return (*state, action.type)

    store = Store(reducer, ())
    attempt = store._acquire

    def trying():
        if not has_gil:
            leave.set()
        answer = attempt()
        leave.set()
        return answer

    def second():
        begun.pass_through()
        store._acquire = trying
        store.dispatch(Action("NEXT"))

    together(lambda: store.dispatch(Action("SLOW")), second)
    assert store.state[1:] == ("SLOW", "NEXT")


@pytest.mark.parametrize("when", ["at the first try", "while it waits"])
def test_ctrl_c_while_a_dispatch_waits_for_the_store(monkeypatch, gate, together, when):
    """``KeyboardInterrupt`` comes out; the action was not dispatched and the store works on."""
    begun, leave = gate(), gate()

    def reducer(state, action):
        if action.type == "SLOW":
            begun.set()
            leave.pass_through()
        return (*state, action.type)

    def interrupt(*_):
        raise KeyboardInterrupt

    def interrupted():
        begun.pass_through()
        with monkeypatch.context() as patch:
            at_once = when == "at the first try"
            patch.setattr(store, "_acquire", interrupt if at_once else lambda: False)
            patch.setattr("milo_core.store.wait_for", interrupt)
            with pytest.raises(KeyboardInterrupt):
                store.dispatch(Action("NEVER"))
        leave.set()

    store = Store(reducer, ())
    together(lambda: store.dispatch(Action("SLOW")), interrupted)
    store.dispatch(Action("NEXT"))
    assert store.state[1:] == ("SLOW", "NEXT")
