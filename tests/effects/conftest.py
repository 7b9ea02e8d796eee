"""What the effect tests share: stores that leave nothing behind, gates, and a way to run sagas."""

import sys
import threading

import pytest

from milo_core import Store
from milo_effects import SagaRuntime

HANGS = 60.0


class Gate(threading.Event):
    """An event whose ``pass_through`` fails where a plain wait would hang."""

    def pass_through(self):
        assert self.wait(HANGS), "nobody opened the gate"
        return "passed"


def journal(state, action):
    """A reducer whose state is every action it has seen."""
    return (*state, action)


def milo_threads():
    """The threads of ours that are alive."""
    return [each for each in threading.enumerate() if each.name.startswith("milo-")]


def left_behind(runtime):
    """What a runtime still holds, counted: all zeros once it has been shut down."""
    return {
        "tasks": len(runtime.runner.alive()),
        "takers": runtime.takers.waiting(),
        "timers": runtime.clock.pending(),
        "active": runtime.active,
    }


NOTHING = {"tasks": 0, "takers": 0, "timers": 0, "active": 0}


class Stores:
    """Builds stores and remembers the runtime that each of them has made."""

    def __init__(self):
        self.made = []

    def __call__(self, reducer=journal, initial_state=(), *args, registry=None, **options):
        runtimes = []

        def make_runtime(host):
            runtimes.append(SagaRuntime(host, registry=registry))
            return runtimes[0]

        store = Store(reducer, initial_state, *args, runtime=make_runtime, **options)
        self.made.append((store, runtimes))
        return store

    def runtime(self, store):
        """The runtime of ``store``, which makes it when the first saga is started."""
        return next(runtimes[0] for made, runtimes in self.made if made is store)

    def shut_down(self):
        """Shut every store down and see that nothing of any is left."""
        for store, _ in self.made:
            store.shutdown()
        for thread in milo_threads():
            thread.join(HANGS)
        assert not milo_threads(), "threads outlived their stores"
        for runtime in (each for _, runtimes in self.made for each in runtimes):
            assert left_behind(runtime) == NOTHING


@pytest.fixture
def new_store():
    """``new_store(reducer=journal, ...)`` builds a store that is shut down after the test."""
    stores = Stores()
    yield stores
    stores.shut_down()


@pytest.fixture
def gate(new_store):
    """``gate()`` makes a gate, which is opened before the stores are shut down."""
    made = []

    def make():
        made.append(Gate())
        return made[-1]

    yield make
    for each in made:
        each.set()


@pytest.fixture
def run():
    """``run(store, saga)`` runs a saga to its end and returns what it returned."""

    def run_saga(store, saga):
        return store.run_saga(saga).result(HANGS)

    return run_saga


@pytest.fixture
def park():
    """``park(store, saga)`` starts a saga and returns its task once it waits, or has ended."""

    def start(store, saga, **options):
        task = store.run_saga(saga, **options)
        settle(store)
        return task

    return start


def settle(store):
    """Return once every saga of the store waits or has ended."""
    assert store.wait_idle(HANGS), "the store never came to rest"


@pytest.fixture(name="settle")
def settle_fixture():
    """``settle(store)`` returns once every saga of the store waits or has ended."""
    return settle


@pytest.fixture
def seen():
    """``seen(store, type)``: the payloads of one type of action in a store with a journal."""
    return lambda store, kind: [each.payload for each in store.state if each.type == kind]


@pytest.fixture
def reports():
    """``reports(store)``: how sagas ended, as ("@@SAGA_ERROR", type) or ("@@SAGA_CANCELLED",)."""

    def found(store):
        return [
            (each.type, each.payload["type"]) if each.type == "@@SAGA_ERROR" else (each.type,)
            for each in store.state
            if each.type.startswith("@@SAGA_")
        ]

    return found


@pytest.fixture
def ended():
    """``ended(task)``: its value, or the class of its error, once it has ended."""

    def outcome(task):
        try:
            return task.result(HANGS)
        except BaseException as error:
            if isinstance(error, TimeoutError) and not task.done():
                raise
            return type(error)

    return outcome


@pytest.fixture
def left(new_store):
    """``left(store)``: what the store's runtime holds once it is at rest; ``{}`` is nothing."""

    def count(store):
        settle(store)
        return {k: n for k, n in left_behind(new_store.runtime(store)).items() if n}

    return count


@pytest.fixture
def all_ended(new_store):
    """``all_ended(store)`` returns once every saga of the store has ended."""

    def wait(store):
        while alive := new_store.runtime(store).runner.alive():
            over = Gate()
            alive[0].add_done_callback(lambda _, over=over: over.set())
            over.pass_through()
        settle(store)

    return wait


@pytest.fixture
def threads():
    """``threads()``: the names of our threads that are alive."""
    return lambda: sorted(each.name for each in milo_threads())


@pytest.fixture
def hangs():
    """Seconds that only a hang exceeds."""
    return HANGS


@pytest.fixture
def frantic():
    """Threads take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def together(hangs):
    """``together(f, g, ...)`` calls functions at the same time, each in a thread of its own."""

    def call(*functions):
        start = threading.Barrier(len(functions))
        errors = []

        def work(function):
            try:
                start.wait(hangs)
                function()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(each,), daemon=True) for each in functions]
        for each in threads:
            each.start()
        for each in threads:
            each.join(hangs)
            assert not each.is_alive(), "a thread hangs"
        assert not errors, errors

    return call
