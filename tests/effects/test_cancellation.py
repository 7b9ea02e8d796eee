"""How a saga is cancelled: once, at its yield, with time to clean up."""

import asyncio
import random
import threading
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milo_core import Action, ReducerResult, StateError, Store
from milo_effects import (
    All,
    Call,
    Debounce,
    Delay,
    Fork,
    Put,
    Race,
    Retry,
    SagaCancelled,
    SagaContext,
    SagaRuntime,
    Select,
    Take,
    TakeEvery,
    TakeLatest,
    Timeout,
    TryCall,
)


def one(effect):
    return (yield effect)


def never():
    yield Take("NEVER")


async def forever():
    await asyncio.Event().wait()


WAITS = {
    "Take": Take("NEVER"),
    "Take with timeout": Take("NEVER", timeout=60),
    "Delay": Delay(60),
    "async Call": Call(forever),
    "async TryCall": TryCall(forever),
    "Retry": Retry(lambda: 1 / 0, base_delay=60.0, max_delay=60.0),
    "async Retry": Retry(forever),
    "Race": Race((never, Delay(60))),
    "All": All((never, Delay(60))),
    "Timeout": Timeout(Take("NEVER"), 60),
    "TakeEvery": TakeEvery("NEVER", never),
    "TakeLatest": TakeLatest("NEVER", never),
    "nested": Timeout(All((Race((Retry(lambda: 1 / 0, base_delay=60.0), never)), Delay(60))), 60),
}


@pytest.mark.parametrize("effect", WAITS.values(), ids=WAITS.keys())
def test_every_kind_of_waiting_is_cut_short(new_store, park, ended, reports, left, effect):
    """``SagaCancelled`` is thrown once at the yield; one report follows; nothing is left."""
    store, caught = new_store(max_workers=2), []

    def saga():
        try:
            yield effect
        except SagaCancelled as cancelled:
            caught.append(cancelled)
            raise

    task = park(store, saga())
    task.cancel_tree()
    task.cancel_tree()
    assert ended(task) is SagaCancelled
    assert left(store) == {}
    assert len(caught) == 1
    assert reports(store) == [("@@SAGA_CANCELLED",)]
    assert store.state[-1].payload == {"saga_id": task.saga_id}


CLEANUPS = {
    "Put": (Put(Action("CLEANING")), None),
    "Call": (Call(lambda: 5), 5),
    "async Call": (Call(asyncio.sleep, (0, 6)), 6),
    "TryCall": (TryCall(int), (0, None)),
    "Select": (Select(lambda state: "state"), "state"),
    "Delay": (Delay(0.001), None),
    "Retry": (Retry(int, base_delay=0.0), 0),
    "Race": (Race((Call(int), Take("NEVER"))), 0),
    "All": (All((Call(int), Delay(0))), (0, None)),
    "Timeout": (Timeout(Call(int), 60), 0),
    "nested": (All((Timeout(Race((Call(int),)), 60),)), (0,)),
}


@pytest.mark.parametrize("how", ["cancel", "shutdown"])
@pytest.mark.parametrize(("effect", "value"), CLEANUPS.values(), ids=CLEANUPS.keys())
def test_cleanup_may_yield_effects(new_store, park, reports, how, effect, value):
    """``finally`` runs in a fresh scope, also at shutdown, and is reported when it is over."""
    store, got = new_store(max_workers=2), []

    def saga():
        try:
            yield Take("NEVER")
        finally:
            before = len(reports(store))
            got.append((yield effect))
            assert len(reports(store)) == before == 0

    task = park(store, saga())
    if how == "cancel":
        task.cancel()
    store.shutdown()
    assert got == [value]
    assert reports(store) == [("@@SAGA_CANCELLED",)]


def test_attached_sagas_of_a_cleanup_run(new_store, park, ended, hangs, seen):
    """What cleanup forks attached is in its scope, not in the cancelled one."""
    store = new_store()

    def farewell():
        yield Delay(0)
        yield Put(Action("FAREWELL"))
        return "sent"

    def saga():
        try:
            yield Take("NEVER")
        finally:
            task = yield Fork(farewell, attached=True)
            tasks.append(task)

    tasks = []
    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert tasks[0].result(hangs) == "sent"
    assert seen(store, "FAREWELL") == [None]


def test_a_debounce_of_a_cleanup_is_dropped_with_the_saga(new_store, park, ended, left, seen):
    """The saga's end cancels what has not fired, as ever."""
    store = new_store()

    def saga():
        try:
            yield Take("NEVER")
        finally:
            yield Debounce(60, never)

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert left(store) == {}


def test_contexts_made_in_cleanup_are_not_cancelled(new_store, park, ended):
    """A saga's ``child()`` follows the saga into the scope of its cleanup."""
    store, found = new_store(), []

    def saga():
        try:
            yield Take("NEVER")
        finally:
            found.append(task.is_cancelled)
            found.append(task.child().is_cancelled)
            found.append(task.detached_child().is_cancelled)

    task = park(store, saga())
    before = task.child("below")
    task.cancel()
    assert ended(task) is SagaCancelled
    assert found == [True, False, False]
    assert before.is_cancelled


def test_a_shutdown_does_not_cut_a_cleanup_short_that_has_begun(new_store, park, gate):
    """What a cleaning saga waits for is part of its cleanup."""
    store, begun, leave, got = new_store(max_workers=2), gate(), gate(), []

    def part():
        begun.set()
        yield Take("FINISH")
        return "whole"

    def saga():
        try:
            yield Take("NEVER")
        finally:
            got.append((yield All((part,))))

    task = park(store, saga())
    task.cancel()
    begun.pass_through()
    assert store.wait_idle(60)
    store.run_saga(one(Call(leave.pass_through)))
    down = threading.Thread(target=store.shutdown)
    watched = threading.Event()
    store.run_saga(never(), cancel=watched)
    down.start()
    assert watched.wait(60), "shutdown has not begun"
    store.dispatch(Action("FINISH"))
    leave.set()
    down.join(60)
    assert got == [("whole",)]


def test_cleanup_that_fails_is_reported_as_an_error(new_store, park, ended, reports):
    """An error in ``finally`` takes the place of the cancellation."""
    store = new_store()

    def saga():
        try:
            yield Take("NEVER")
        finally:
            raise LookupError("cleanup")

    task = park(store, saga())
    task.cancel()
    assert ended(task) is LookupError
    assert reports(store) == [("@@SAGA_ERROR", "LookupError")]


def test_a_saga_that_returns_from_its_cancellation_was_cancelled_all_the_same(
    new_store, park, ended, reports
):
    """Swallowing ``SagaCancelled`` and returning does not make a result."""
    store = new_store()

    def saga():
        try:
            yield Take("NEVER")
        except SagaCancelled:
            return "a result"

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert reports(store) == [("@@SAGA_CANCELLED",)]


def test_swallowing_it_lets_the_saga_live_on(new_store, park, settle, ended, seen):
    """It is thrown once; what the saga then waits for is not cancelled again."""
    store = new_store()

    def saga():
        with suppress(SagaCancelled):
            yield Take("NEVER")
        yield Put(Action("LIVES", (yield Take("MORE")).payload))

    task = park(store, saga())
    task.cancel()
    settle(store)
    task.cancel()
    settle(store)
    assert not task.done()
    store.dispatch(Action("MORE", 5))
    assert ended(task) is SagaCancelled
    assert seen(store, "LIVES") == [5]


def test_except_exception_lets_it_pass(new_store, park, ended):
    """``SagaCancelled`` is no ``Exception``."""
    store, swallowed = new_store(), []

    def saga():
        try:
            yield Take("NEVER")
        except Exception as error:
            swallowed.append(error)

    task = park(store, saga())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert swallowed == []


@pytest.mark.parametrize("made", ["generator", "function"])
def test_cancelled_before_its_first_step_a_saga_never_runs(new_store, gate, ended, reports, made):
    """Neither its body nor the function that makes it; its end is reported."""
    store, begun, leave, steps = new_store(max_workers=1), gate(), gate(), []

    def block():
        begun.set()
        leave.pass_through()

    def saga():
        steps.append("body")
        yield Take("NEVER")

    def make():
        steps.append("function")
        return saga()

    store.run_saga(one(Call(block)))
    begun.pass_through()
    task = store.run_saga(saga() if made == "generator" else make)
    task.cancel()
    leave.set()
    assert ended(task) is SagaCancelled
    assert steps == []
    assert reports(store) == [("@@SAGA_CANCELLED",)]


def test_a_call_in_progress_finishes_first(new_store, gate, ended):
    """Its result goes nowhere: the saga gets ``SagaCancelled`` in its place."""
    store, begun, leave, order = new_store(), gate(), gate(), []

    def block():
        begun.set()
        leave.pass_through()
        order.append("call")
        return "result"

    def saga():
        try:
            order.append((yield Call(block)))
        finally:
            order.append("cleanup")

    task = store.run_saga(saga())
    begun.pass_through()
    task.cancel()
    assert not task.done()
    leave.set()
    assert ended(task) is SagaCancelled
    assert order == ["call", "cleanup"]


def test_children_have_ended_when_the_cleanup_begins(new_store, park, ended):
    """At every level below, cleanup is done before the level above cleans up."""
    store, order = new_store(max_workers=2), []

    def level(n):
        try:
            if n == 0:
                yield Take("NEVER")
            else:
                yield (All, Race)[n % 2]((level(n - 1), never))
        finally:
            yield Delay(0.001)
            order.append(n)

    task = park(store, level(5))
    task.cancel()
    assert ended(task) is SagaCancelled
    assert order == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("combine", [All, Race, lambda sagas: Timeout(sagas[0], 60)])
def test_a_cancellation_on_its_way_is_no_error_of_a_child(new_store, ended, reports, combine):
    """A child that is cancelled with its saga, and first, does not look as if it alone were."""
    store, event = new_store(max_workers=2), threading.Event()

    def saga():
        threading.Event.set(event)  # as while another thread is about to tell the saga
        yield combine((never, never))

    assert ended(store.run_saga(saga(), event)) is SagaCancelled
    assert reports(store) == [("@@SAGA_CANCELLED",)]


# From inside


def test_a_saga_may_cancel_itself(new_store, settle, reports):
    """A call that cancels its own saga returns; then the saga is cancelled."""
    store, order, context = new_store(), [], SagaContext()

    def saga():
        try:
            yield Call(context.cancel_tree)
            order.append("never here")
        finally:
            yield Delay(0)
            order.append("cleanup")

    store.run_saga(saga(), context=context)
    settle(store)
    store.shutdown()
    assert order == ["cleanup"]
    assert reports(store) == [("@@SAGA_CANCELLED",)]


def test_a_saga_that_cancels_itself_and_ends_has_ended(new_store, settle, reports):
    """Cancelled in its last step, without another yield, it has a normal end."""
    store, context = new_store(), SagaContext()

    def saga():
        yield Call(int)
        context.cancel_tree()

    store.run_saga(saga(), context=context)
    settle(store)
    store.shutdown()
    assert reports(store) == []


def test_a_listener_may_cancel(new_store, park, ended):
    """During the ``Put`` of the saga itself, or of another."""
    store = new_store()

    def saga():
        yield Take("GO")
        yield Put(Action("STOP"))
        yield Take("NEVER")

    first, second = park(store, saga()), park(store, never())

    def listen():
        if store.state[-1].type == "STOP":
            first.cancel()
            second.cancel()

    store.subscribe(listen)
    store.dispatch(Action("GO"))
    assert ended(first) is SagaCancelled
    assert ended(second) is SagaCancelled


def test_a_reducer_may_cancel(park, ended, new_store):
    """Cancelling takes no lock that the store's lock could wait for."""
    tasks = []

    def reducer(state, action):
        if action.type == "STOP":
            for task in tasks:
                task.cancel()
        return (*state, action)

    store = new_store(reducer, max_workers=2)
    tasks += [park(store, one(each)) for each in WAITS.values()]
    store.dispatch(Action("STOP"))
    assert [ended(task) for task in tasks] == [SagaCancelled] * len(WAITS)


def test_what_a_take_resumes_may_cancel_the_others(new_store, park, ended):
    """The saga an action resumes cancels one that the same action resumes."""
    store, tasks = new_store(max_workers=1), []

    def first():
        yield Take("GO")
        tasks[1].cancel()
        return "first"

    def second():
        yield Take("GO")
        yield Take("NEVER")

    tasks += [park(store, first()), park(store, second())]
    store.dispatch(Action("GO"))
    assert [ended(task) for task in tasks] == ["first", SagaCancelled]


@pytest.mark.parametrize("where", ["reducer", "listener", "middleware"])
def test_taking_and_cancelling_in_one_dispatch(new_store, park, ended, where):
    """The action a saga waits for also cancels it: it ends cancelled or with the action."""
    tasks = []

    def cancel_all(action_type):
        if action_type == "GO":
            for task in tasks:
                task.cancel()

    def reducer(state, action):
        if where == "reducer":
            cancel_all(action.type)
        return (*state, action)

    def middleware(next_dispatch, get_state):
        def dispatch(action):
            if where == "middleware":
                cancel_all(action.type)
            return next_dispatch(action)

        return dispatch

    store = new_store(reducer, (), (middleware,))
    if where == "listener":
        store.subscribe(lambda: cancel_all(store.state[-1].type))
    tasks += [park(store, one(Take("GO"))) for _ in range(5)]
    store.dispatch(Action("GO"))
    outcomes = {ended(task) for task in tasks}
    assert outcomes <= {SagaCancelled, Action("GO")}
    if where != "listener":
        assert outcomes == {SagaCancelled}


# Many at once


def test_cancelling_at_any_moment_ends_every_saga_once(
    new_store, together, all_ended, left, frantic
):
    """Thirty rounds of sagas in the midst of everything, cancelled from two threads."""
    store = new_store(lambda state, action: state, None, max_workers=3)
    for _ in range(30):
        root, ends = SagaContext(), []
        begun = threading.Semaphore(0)

        def busy(n, ends=ends, begun=begun):
            try:
                begun.release()
                while True:
                    yield random.choice(
                        [
                            Delay(0),
                            Put(Action("TICK")),
                            Call(int),
                            All((Delay(0), Call(int))),
                            Race((Take("TICK"), Delay(0))),
                            Timeout(Delay(0), 60),
                            Take("TICK", timeout=0.001),
                            Fork(one(Delay(0)), attached=True),
                        ]
                    )
            except TimeoutError:
                yield Take("NEVER")
            finally:
                yield Delay(0)
                ends.append(n)

        for n in range(20):
            store.run_saga(busy(n), context=root.child())
        for _ in range(20):
            assert begun.acquire(timeout=60)
        together(root.cancel_tree, root.cancel_tree, lambda: store.dispatch(Action("TICK")))
        all_ended(store)
        assert sorted(ends) == list(range(20))
    assert left(store) == {}


trees = st.recursive(
    st.sampled_from(["delay", "call", "async", "error", "take", "select"]),
    lambda below: st.tuples(
        st.sampled_from(["all", "race", "fork", "attached", "timeout", "clean"]),
        st.lists(below, min_size=1, max_size=4),
    ),
    max_leaves=20,
)


class Census:
    """Counts the sagas of a tree that begin and end."""

    def __init__(self):
        self.lock = threading.Lock()
        self.begun = 0
        self.ended = 0

    def grow(self, tree):
        """The saga for a tree: leaves wait or fail, branches run the sagas of their children."""
        with self.lock:
            self.begun += 1
        try:
            return (yield from self._body(tree))
        finally:
            with self.lock:
                self.ended += 1

    def _body(self, tree):
        if isinstance(tree, str):
            return (yield from leaf(tree))
        kind, below = tree
        sagas = tuple(self.grow(each) for each in below)
        if kind == "all":
            return (yield All(sagas))
        if kind == "race":
            return (yield Race(sagas))
        if kind == "timeout":
            return (yield Timeout(All(sagas), 0.001))
        if kind == "clean":
            try:
                yield Take("NEVER", timeout=0.0)
            except TimeoutError:
                return None
            finally:
                yield All(sagas)
        for saga in sagas:
            yield Fork(saga, attached=kind == "attached")
        return None


def wait_for_end(task):
    over = threading.Event()
    task.add_done_callback(lambda _: over.set())
    assert over.wait(60)


async def soon():
    await asyncio.sleep(0)


def leaf(kind):
    if kind == "error":
        yield Call(int)
        raise LookupError(kind)
    yield {
        "delay": Delay(0),
        "call": Call(int),
        "async": Call(soon),
        "take": Take("NEVER", timeout=0.002),
        "select": Select(),
    }[kind]


@pytest.mark.parametrize("workers", [1, 3])
@settings(max_examples=60)
@given(
    forest=st.lists(trees, min_size=1, max_size=3),
    cancels=st.lists(st.integers(0, 30), max_size=4),
    down=st.booleans(),
)
def test_in_any_forest_every_saga_that_begins_ends_once(workers, forest, cancels, down):
    """Whatever the trees and wherever they are cancelled, nothing is left, and errors surface."""
    runtimes = []

    def make(host):
        runtimes.append(SagaRuntime(host))
        return runtimes[0]

    store = Store(lambda state, action: state, None, runtime=make, max_workers=workers)
    census, root = Census(), SagaContext()
    for tree in forest:
        store.run_saga(census.grow(tree), context=root.child())
    runner = runtimes[0].runner
    for n in cancels:
        alive = sorted(runner.alive(), key=lambda task: task.saga_id)
        if alive:
            alive[n % len(alive)].cancel_tree()
    if not down:
        while alive := runner.alive():
            wait_for_end(alive[0])
    store.shutdown()
    while stuck := runner.alive():  # on workers that a Timeout has set aside
        wait_for_end(stuck[0])
    assert census.begun == census.ended
    assert runner.alive() == []
    assert runtimes[0].takers.waiting() == 0
    assert runtimes[0].clock.pending() == 0
    assert store.wait_idle(60)
    assert not root._members


def test_a_store_that_is_shut_down_runs_no_more_sagas(new_store, park):
    """``run_saga`` raises; reducers that ask for sagas are told in the log only."""
    store = new_store(
        lambda state, action: ReducerResult(state, sagas=(never,)) if action.type == "GO" else state
    )
    park(store, never())
    store.shutdown()
    with pytest.raises(StateError, match="shut down"):
        store.run_saga(never())
    store.dispatch(Action("GO"))
