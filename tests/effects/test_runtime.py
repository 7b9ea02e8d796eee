"""SagaRuntime: what a store runs its sagas with, from the first one to shutdown."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from milo_core import Action, Batch, Cmd, ReducerResult, StateError, Store
from milo_effects import (
    All,
    Call,
    Debounce,
    Delay,
    EffectRegistry,
    Fork,
    Put,
    Race,
    Retry,
    SagaCancelled,
    SagaRuntime,
    Take,
    TakeEvery,
    TakeLatest,
    Timeout,
    handles,
)
from milo_effects.handlers import BUILT_IN
from milo_effects.runtime import default_workers


def one(effect):
    return (yield effect)


def never():
    yield Take("NEVER")


def broken(error=ValueError):
    yield Delay(0)
    raise error("broken")


@pytest.fixture
def quick_shutdown(monkeypatch):
    """Cleanup has a hundredth of a second."""
    monkeypatch.setattr("milo_effects.runtime.CLEANUP_SECONDS", 0.01)


# How sagas start


def test_the_installed_runtime_is_found_by_entry_point(hangs):
    """A plain ``Store`` runs sagas once milo-effects is installed."""
    with Store(lambda state, action: state, None) as store:
        task = store.run_saga(one(Call(lambda: 5)))
        assert task.result(hangs) == 5
        assert isinstance(store._runtime, SagaRuntime)


def test_a_reducer_starts_sagas_after_its_state_is_visible(new_store, settle):
    """Generators or functions; listeners hear of the state first, then the sagas start."""
    order = []

    def saga(n):
        order.append((n, store.state))
        return
        yield

    def reducer(state, action):
        if action.type == "GO":
            return ReducerResult("gone", sagas=(saga(1), lambda: saga(2)))
        return state

    store = new_store(reducer, "here", max_workers=1)
    store.subscribe(lambda: order.append("listener"))
    store.dispatch(Action("GO"))
    settle(store)
    assert order == ["listener", (1, "gone"), (2, "gone")]


@pytest.mark.parametrize("saga", [5, None, "text", [1]])
def test_what_is_no_saga_is_refused(new_store, saga):
    """``run_saga`` says what a saga is."""
    with pytest.raises(StateError, match="a saga is a generator"):
        new_store().run_saga(saga)


def test_a_function_that_makes_no_saga_is_reported(new_store, ended, reports):
    """The error names it and what it gave."""
    store = new_store()

    def no_saga():
        return 5

    task = store.run_saga(no_saga)
    assert ended(task) is StateError
    assert reports(store) == [("@@SAGA_ERROR", "StateError")]
    assert "no_saga is" in store.state[-1].payload["error"]
    assert "gave 5" in store.state[-1].payload["error"]


def test_a_function_that_raises_is_reported(new_store, ended, reports):
    """A saga can fail before it has a generator."""
    store = new_store()
    assert ended(store.run_saga(lambda: 1 / 0)) is ZeroDivisionError
    assert reports(store) == [("@@SAGA_ERROR", "ZeroDivisionError")]


def test_one_generator_cannot_be_two_sagas(new_store, gate, ended):
    """The second one fails; the first one goes on."""
    store, begun, leave = new_store(max_workers=2), gate(), gate()

    def body():
        begun.set()
        leave.pass_through()
        yield Delay(0)
        return "first"

    generator = body()
    first = store.run_saga(generator)
    begun.pass_through()
    assert ended(store.run_saga(generator)) is ValueError
    leave.set()
    assert ended(first) == "first"


def test_a_saga_that_never_yields_is_fine(new_store, run):
    """Its return value is its result."""

    def saga():
        return 5
        yield

    assert run(new_store(), saga()) == 5


# How they end


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, BaseException]
)
def test_an_error_is_dispatched_with_the_sagas_name(new_store, ended, run, error):
    """Message, type and saga_id; the store and its only worker go on."""
    store = new_store(max_workers=1)

    def saga():
        yield Delay(0)
        raise error("what happened")

    task = store.run_saga(saga())
    assert ended(task) is error
    assert store.state[-1] == Action(
        "@@SAGA_ERROR",
        {"error": "what happened", "type": error.__name__, "saga_id": task.saga_id},
    )
    assert run(store, one(Call(int))) == 0


def test_an_error_that_cannot_be_shown_is_reported_all_the_same(new_store, ended, reports):
    """A ``__str__`` that raises costs the message, not the report."""

    class MuteError(Exception):
        def __str__(self):
            raise ValueError("no text")

    store = new_store()
    assert ended(store.run_saga(broken(MuteError))) is MuteError
    assert reports(store) == [("@@SAGA_ERROR", "MuteError")]
    assert "cannot be shown: ValueError" in store.state[-1].payload["error"]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["reducer", "listener", "middleware"])
def test_a_report_that_is_refused_is_logged(new_store, park, ended, run, caplog, error, where):
    """The saga ends, its worker goes on, and the log has what could not be dispatched."""

    def fail_at(place, action):
        if place == where and action.type == "@@SAGA_CANCELLED":
            raise error("refused")

    def reducer(state, action):
        fail_at("reducer", action)
        return action

    def middleware(next_dispatch, get_state):
        def dispatch(action):
            fail_at("middleware", action)
            next_dispatch(action)

        return dispatch

    store = new_store(reducer, None, (middleware,), max_workers=1)
    store.subscribe(lambda: fail_at("listener", store.state))
    task = park(store, never())
    task.cancel()
    assert ended(task) is SagaCancelled
    assert run(store, one(Call(int))) == 0
    assert "refused" in caplog.text


def test_done_callbacks_are_called_once_whenever_they_come(new_store, park, hangs):
    """On the worker that ended the saga, or at once when it has ended; errors are logged."""
    store, called = new_store(max_workers=1), []
    task = park(store, one(Take("GO")))
    task.add_done_callback(called.append)
    assert called == []
    store.dispatch(Action("GO"))
    task.result(hangs)
    assert store.wait_idle(hangs)
    task.add_done_callback(called.append)
    assert called == [task, task]


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_done_callback_that_raises_stops_nothing(new_store, park, hangs, run, caplog, error):
    """The other callbacks and the worker go on; the error is logged."""
    store, called = new_store(max_workers=1), []

    def fail(task):
        raise error("callback")

    task = park(store, one(Take("GO")))
    task.add_done_callback(fail)
    task.add_done_callback(called.append)
    store.dispatch(Action("GO"))
    assert store.wait_idle(hangs)
    assert called == [task]
    assert run(store, one(Call(int))) == 0
    assert "callback" in caplog.text


def test_result_has_a_timeout(new_store, park):
    """It names the saga and the seconds, and does not end the saga."""
    task = park(new_store(), never())
    with pytest.raises(TimeoutError, match=rf"{task.saga_id} did not end within 0\.01s"):
        task.result(0.01)
    assert not task.done()


# Waiting costs no thread


@pytest.mark.parametrize(
    "effect",
    [
        Take("NEVER"),
        Delay(60),
        Race((Take("NEVER"), Delay(60))),
        All((Take("NEVER"), Delay(60))),
        Retry(lambda: 1 / 0, base_delay=60.0, max_delay=60.0),
        Timeout(Take("NEVER"), 60),
        TakeEvery("NEVER", never),
    ],
    ids=lambda effect: type(effect).__name__,
)
def test_a_thousand_that_wait_leave_two_workers_free(new_store, run, settle, threads, effect):
    """A call dispatched afterwards runs at once, and nothing counts as active."""
    store = new_store(lambda state, action: state, None, max_workers=2)
    tasks = [store.run_saga(one(effect)) for _ in range(1000)]
    settle(store)
    assert store.pool_active == 0
    assert not any(task.done() for task in tasks)
    assert run(store, one(Call(lambda: "at once"))) == "at once"
    assert len([name for name in threads() if "worker" in name]) <= 2
    assert len(threads()) <= 3


def test_active_counts_what_runs_and_what_is_queued(new_store, gate, settle):
    """Two run, three queue: five; parked ones are not in it."""
    store, begun, leave = new_store(max_workers=2), threading.Semaphore(0), gate()

    def block():
        begun.release()
        leave.pass_through()

    assert store.pool_active == 0
    for _ in range(5):
        store.run_saga(one(Call(block)))
    for _ in range(2):
        assert begun.acquire(timeout=60)
    assert store.pool_active == 5
    leave.set()
    settle(store)
    assert store.pool_active == 0


def test_a_busy_saga_lets_others_have_their_turn(new_store, run):
    """On one worker, a saga that never waits does not keep the others out."""
    store, stop = new_store(lambda state, action: state, None, max_workers=1), []

    def busy():
        while not stop:
            yield Call(int)
        return "stopped"

    task = store.run_saga(busy())
    assert run(store, one(Call(lambda: stop.append(True)))) is None
    assert task.result(60) == "stopped"


# Pool pressure


@pytest.mark.parametrize(("threshold", "expected"), [(1.0, [4, 5, 6]), (0.5, [2, 3, 4, 5, 6])])
def test_pressure_is_told_by_the_submitting_thread(new_store, gate, threshold, expected):
    """Whenever running and queued work reaches the threshold."""
    leave, begun, calls = gate(), threading.Semaphore(0), []
    store = new_store(
        max_workers=4,
        on_pool_pressure=lambda *counts: calls.append((counts, threading.current_thread())),
        pool_pressure_threshold=threshold,
    )

    def block():
        begun.release()
        leave.pass_through()

    for _ in range(6):
        store.run_saga(one(Call(block)))
    assert calls == [((n, 4), threading.current_thread()) for n in expected]


def test_pressure_is_told_once_for_a_batch(new_store, gate):
    """One batch is one submission."""
    leave, calls = gate(), []

    def reducer(state, action):
        if action.type == "GO":
            return ReducerResult(state, cmds=(Batch((Cmd(leave.pass_through),) * 9),))
        return state

    store = new_store(
        reducer, None, max_workers=2, on_pool_pressure=lambda *counts: calls.append(counts)
    )
    store.dispatch(Action("GO"))
    assert calls == [(9, 2)]


def test_a_pressure_callback_that_raises_is_logged(new_store, gate, ended, caplog):
    """The work is done all the same."""

    def complain(active, workers):
        raise ValueError("too much")

    store, leave = new_store(max_workers=1, on_pool_pressure=complain), gate()
    task = store.run_saga(one(Call(leave.pass_through)))
    leave.set()
    assert ended(task) == "passed"
    assert "too much" in caplog.text


def test_the_default_number_of_workers(new_store):
    """``cpus + 4`` up to eight, where kida is not installed."""
    assert default_workers() == min(8, (os.cpu_count() or 1) + 4)
    assert default_workers() >= 1


# wait_idle


def test_wait_idle_is_about_running_and_queued_work(new_store, gate, hangs, park):
    """Parked sagas may remain; running ones are waited for, up to the timeout."""
    store, begun, leave = new_store(), gate(), gate()
    assert store.wait_idle()
    park(store, never())

    def block():
        begun.set()
        leave.pass_through()

    store.run_saga(one(Call(block)))
    begun.pass_through()
    assert store.wait_idle(0) is False
    assert store.wait_idle(0.01) is False
    leave.set()
    assert store.wait_idle(hangs) is True


@pytest.mark.parametrize("where", ["call", "saga", "listener"])
def test_wait_idle_from_inside_is_refused(new_store, run, where):
    """Who is part of the work cannot wait for its end; the error says so instead of hanging."""
    store, errors = new_store(), []

    def wait():
        with pytest.raises(StateError, match="wait_idle was called from inside"):
            store.wait_idle()
        errors.append(where)

    def saga():
        if where == "saga":
            wait()
        yield Call(wait if where == "call" else int)

    if where == "listener":
        store.subscribe(wait)
        store.dispatch(Action("GO"))
    run(store, saga())
    assert where in errors


# Shutdown


def test_shutdown_ends_everything(new_store, gate, settle, ended, left, threads):
    """A mix of everything that can wait or run: all ended, nothing left, nothing running."""
    store = new_store(max_workers=4)

    def debouncing():
        yield Debounce(60, never)
        yield Take("NEVER")

    def forking():
        yield Fork(never)
        yield Fork(never, attached=True)
        yield Take("NEVER")

    def cleaning():
        try:
            yield Take("NEVER")
        finally:
            yield Delay(0)
            yield All((Call(int), Race((Delay(0), Call(int)))))

    sagas = [
        one(Take("NEVER")),
        one(Take("NEVER", timeout=60)),
        one(Delay(60)),
        one(Race((never, Delay(60)))),
        one(All((never, Delay(60), All((never, never))))),
        one(Timeout(All((never, never)), 60)),
        one(Retry(lambda: 1 / 0, base_delay=60.0)),
        one(TakeEvery("CLICK", never)),
        one(TakeLatest("CLICK", never)),
        debouncing(),
        forking(),
        cleaning(),
        one(Call(int)),
        one(Call(divmod, (1, 0))),
    ]
    tasks = [store.run_saga(saga) for saga in sagas]
    settle(store)
    for _ in range(3):
        store.dispatch(Action("CLICK"))
    settle(store)
    assert left(store)["tasks"] > 20
    store.shutdown()
    assert all(task.done() for task in tasks)
    assert left(store) == {}
    assert threads() == []
    assert [ended(task) for task in tasks[-2:]] == [0, ZeroDivisionError]
    assert {ended(task) for task in tasks[:-2]} == {SagaCancelled}
    assert not any(task._members for task in tasks)
    assert new_store.runtime(store).takers._by_type == {}


def test_detached_sagas_are_cancelled_too(new_store, park, run, ended):
    """Shutdown spares nobody."""
    store = new_store()

    def saga():
        return (yield Fork(never))

    task = run(store, saga())
    store.shutdown()
    assert ended(task) is SagaCancelled


def test_a_store_that_never_ran_a_saga_shuts_down(threads):
    """There is nothing to end, and no thread was ever started."""
    store = Store(lambda state, action: state, None)
    store.shutdown()
    assert threads() == []


def test_shutdown_waits_for_calls_in_progress(new_store, gate, ended):
    """A call finishes, then its saga is cancelled."""
    store, begun, leave, order = new_store(), gate(), gate(), []

    def block():
        begun.set()
        leave.pass_through()
        order.append("call")

    cancelled = gate()
    task = store.run_saga(one(Call(block)), cancelled)
    begun.pass_through()
    down = threading.Thread(target=lambda: (store.shutdown(), order.append("down")))
    down.start()
    cancelled.pass_through()
    assert order == []
    leave.set()
    down.join(60)
    assert order == ["call", "down"]
    assert ended(task) is SagaCancelled


def test_cleanup_that_takes_too_long_is_closed(
    new_store, park, settle, ended, quick_shutdown, reports
):
    """Generators are closed after their time; a ``finally`` that goes on yielding is an error."""
    store = new_store()

    def saga():
        try:
            yield Take("NEVER")
        finally:
            yield Take("NEVER")

    def stubborn():
        try:
            yield Take("NEVER")
        finally:
            try:
                yield Take("NEVER")
            finally:
                yield Delay(0)

    first, second = park(store, saga()), park(store, stubborn())
    first.cancel()
    second.cancel()
    settle(store)
    store.shutdown()
    assert ended(first) is SagaCancelled
    assert ended(second) is RuntimeError
    assert sorted(reports(store)) == [("@@SAGA_CANCELLED",), ("@@SAGA_ERROR", "RuntimeError")]


def test_endless_cleanup_comes_to_an_end(new_store, park, quick_shutdown, left):
    """Cleanup below cleanup below cleanup is closed as a whole."""
    store = new_store(max_workers=1)

    def endless(depth):
        try:
            yield Take("NEVER")
        finally:
            yield All((lambda: endless(depth + 1), Take("NEVER")))

    for _ in range(5):
        park(store, endless(0)).cancel()
    store.shutdown()
    assert left(store) == {}


def test_what_starts_while_everything_is_closed_is_closed(new_store, settle, gate, quick_shutdown):
    """A saga forked by a cleanup that was overtaken by the closing never takes a step."""
    closing, steps = gate(), []

    class LateFork:
        pass

    @handles(LateFork)
    def fork_late(effect, context, store):
        closing.pass_through()
        return BUILT_IN[Fork](Fork(forked, attached=True), context, store)

    def forked():
        steps.append(1)
        yield Delay(3600)

    def late():
        try:
            yield Take("NEVER")
        finally:
            yield LateFork()

    def first():
        try:
            yield Take("NEVER")
        finally:
            try:
                yield Take("NEVER")
            except GeneratorExit:
                closing.set()
                raise

    store = new_store(registry=EffectRegistry(fork_late), max_workers=2)
    task = store.run_saga(first())
    settle(store)
    task.cancel()
    settle(store)
    store.run_saga(late())
    settle(store)
    store.shutdown()
    assert steps == []


def test_a_saga_forked_in_cleanup_does_not_hold_up_shutdown(new_store, park, ended):
    """What starts on its own while everything is being cancelled is cancelled, too."""
    store, forked = new_store(), []

    def saga():
        try:
            yield Take("NEVER")
        finally:
            forked.append((yield Fork(one(Delay(3600)))))

    park(store, saga())
    began = time.monotonic()
    store.shutdown()
    assert time.monotonic() - began < 4, "shutdown waited for the cleanup's time to run out"
    assert ended(forked[0]) is SagaCancelled


def test_sagas_started_while_shutting_down_end(new_store, together, ended, frantic, left):
    """``run_saga`` and shutdown at the same time: refused, or started and ended; never lost."""
    for _ in range(30):
        store, tasks = new_store(lambda state, action: state, None, max_workers=2), []
        store.run_saga(never())

        def start(store=store, tasks=tasks):
            for _ in range(10):
                try:
                    tasks.append(store.run_saga(one(Delay(3600))))
                except StateError:
                    return

        together(start, start, store.shutdown)
        assert {ended(task) for task in tasks} <= {SagaCancelled}
        assert left(store) == {}


def test_a_saga_may_shut_the_store_down(new_store, ended, park, left):
    """Called from a call, it ends everything else and then this saga."""
    store = new_store(max_workers=2)
    other = park(store, never())
    order = []

    def saga():
        try:
            yield Call(store.shutdown)
        finally:
            order.append(other.done())
            yield Call(int)

    task = store.run_saga(saga())
    assert ended(task) is SagaCancelled
    assert order == [True]
    assert left(store) == {}


WRAPS = [
    lambda effect: Timeout(effect, 60),
    lambda effect: Race((effect,)),
    lambda effect: All((Race((effect,)),)),
    lambda effect: Retry(effect.fn),
]


@pytest.mark.parametrize("wrap", [*WRAPS, lambda effect: Race((effect, Take("NEVER")))])
def test_whoever_waits_for_the_caller_is_not_waited_for(new_store, ended, wrap):
    """Shutdown from a call deep inside does not wait for its own saga until time runs out."""
    store = new_store(max_workers=2)
    began = time.monotonic()
    assert ended(store.run_saga(one(wrap(Call(store.shutdown))))) is SagaCancelled
    assert time.monotonic() - began < 4, "shutdown waited for the cleanup's time to run out"


@pytest.mark.parametrize("wrap", WRAPS)
def test_whoever_waits_for_the_caller_in_its_cleanup_is_not_waited_for(
    new_store, park, ended, wrap
):
    """Nor when the call is part of a cleanup."""
    store = new_store(max_workers=2)

    def saga():
        try:
            yield Take("NEVER")
        finally:
            yield wrap(Call(store.shutdown))

    task = park(store, saga())
    began = time.monotonic()
    task.cancel()
    assert ended(task) is SagaCancelled
    assert time.monotonic() - began < 4, "shutdown waited for the cleanup's time to run out"


def test_a_command_may_shut_the_store_down(new_store, all_ended, left):
    """A quit command is a natural place for it."""

    def shut_down():
        store.shutdown()

    def reducer(state, action):
        if action.type == "GO":
            return ReducerResult(state, cmds=(Cmd(shut_down),), sagas=(never,))
        return state

    store = new_store(reducer, None)
    store.dispatch(Action("GO"))
    all_ended(store)
    assert left(store) == {}


@pytest.mark.parametrize("thread", ["main", "worker"])
def test_a_listener_may_shut_the_store_down(new_store, park, ended, thread, all_ended):
    """It returns at once, so that sagas whose end is dispatched do not wait for it forever."""
    store = new_store(max_workers=2)
    others = [park(store, never()) for _ in range(5)]
    store.subscribe(lambda: store.shutdown() if store.state[-1].type == "STOP" else None)
    if thread == "main":
        store.dispatch(Action("STOP"))
    else:
        store.run_saga(one(Put(Action("STOP"))))
    assert {ended(task) for task in others} == {SagaCancelled}
    all_ended(store)


def test_a_done_callback_may_shut_the_store_down(new_store, park, ended):
    """Also while others still wait."""
    store = new_store(max_workers=2)
    other, task = park(store, never()), park(store, one(Take("GO")))
    task.add_done_callback(lambda _: store.shutdown())
    store.dispatch(Action("GO"))
    assert ended(other) is SagaCancelled


def test_a_coroutine_may_shut_the_store_down(new_store, ended):
    """The event loop does not wait for itself; the coroutine is cancelled like any other."""
    store = new_store(max_workers=2)

    async def leave():
        store.shutdown()
        await asyncio.Event().wait()

    began = time.monotonic()
    assert ended(store.run_saga(one(Call(leave)))) is SagaCancelled
    assert time.monotonic() - began < 4, "shutdown waited for the cleanup's time to run out"


def test_two_threads_may_shut_down(new_store, park, together, left, frantic):
    """One does it, the other returns; thirty times, while workers are starting."""
    for _ in range(30):
        store = new_store(lambda state, action: state, None, max_workers=4)
        for _ in range(8):
            store.run_saga(one(Call(int)))
            store.run_saga(never())
        together(store.shutdown, store.shutdown)
        store.shutdown()
        assert left(store) == {}


def test_after_shutdown_the_callers_cleanup_is_told_what_is_gone(new_store, ended):
    """The saga that shut the store down cannot wait for time or coroutines any more."""
    store, errors = new_store(), []

    async def coroutine():
        """Never awaited."""

    def saga():
        try:
            yield Call(store.shutdown)
        finally:
            for effect in (Delay(0), Take("X", timeout=1), Call(coroutine), Debounce(1, never)):
                try:
                    yield effect
                except StateError as error:
                    errors.append(str(error))
            yield All((Call(int), Call(int)))

    assert ended(store.run_saga(saga())) is SagaCancelled
    assert len(errors) == 4
    assert all("has been shut down" in error for error in errors)


def test_dispatching_still_works_after_shutdown(new_store, park):
    """The state goes on; sagas do not."""
    store = new_store()
    park(store, never())
    store.shutdown()
    store.dispatch(Action("LATE"))
    assert store.state[-1] == Action("LATE")


# The end of the interpreter

PRELUDE = """
import threading, sys, os, time, atexit, asyncio
from milo_core import Action, Store
from milo_effects import All, Call, Delay, Fork, Put, Take, Timeout
store = Store(lambda state, action: state, None, max_workers=2)
def one(effect):
    return (yield effect)
"""

SCRIPTS = {
    "a parked saga does not keep it alive, and cleans up": (
        """
        def saga():
            try:
                yield Take("NEVER")
            finally:
                print((yield All((Call(int), Delay(0)))))
        store.run_saga(saga())
        store.wait_idle()
        """,
        "(0, None)",
    ),
    "a running call is finished": (
        """
        begun = threading.Event()
        def work():
            begun.set()
            time.sleep(0.05)
            print("finished")
        store.run_saga(one(Call(work)))
        begun.wait()
        """,
        "finished",
    ),
    "a saga started at the very end runs": (
        """
        atexit.register(lambda: store.run_saga(one(Call(print, ("ran",)))))
        """,
        "ran",
    ),
    "a coroutine that used a thread is no obstacle": (
        """
        async def work():
            return await asyncio.to_thread(int)
        print(store.run_saga(one(Call(work))).result(60))
        """,
        "0",
    ),
    "an expired call is left behind": (
        """
        def saga():
            try:
                yield Timeout(Call(threading.Event().wait), 0.01)
            except TimeoutError:
                print("expired")
        store.run_saga(saga()).result(60)
        """,
        "expired",
    ),
    "a store that was shut down": (
        """
        store.run_saga(one(Take("NEVER")))
        store.shutdown()
        print("down")
        """,
        "down",
    ),
    "sys.exit in a saga is only the saga's": (
        """
        task = store.run_saga(one(Call(sys.exit, (3,))))
        store.wait_idle()
        print(type(task.error).__name__)
        """,
        "SystemExit",
    ),
    "several stores at once": (
        """
        stores = [Store(lambda state, action: state, None) for _ in range(5)]
        for each in stores:
            each.run_saga(one(Take("NEVER")))
            each.run_saga(one(Delay(3600)))
        print("many")
        """,
        "many",
    ),
    "a forked child has none of the threads and ends": (
        """
        import warnings
        warnings.simplefilter("ignore")
        task = store.run_saga(one(Take("NEVER")))
        store.wait_idle()
        if hasattr(os, "fork"):
            child = os.fork()
            if child == 0:
                sys.exit(0)
            assert os.waitpid(child, 0)[1] == 0
        print("child ended")
        """,
        "child ended",
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_end_of_the_interpreter(script):
    """The process ends by itself, with what was running finished and nothing on stderr."""
    code, expected = SCRIPTS[script]
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.strip() == expected
