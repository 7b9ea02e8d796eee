"""Call runs a function for a saga."""

import asyncio
import contextvars
import threading
from functools import partial

import pytest

from milo_core import Action
from milo_effects import Call, ChildCancelledError, Delay, Put, SagaCancelled, Take


def test_arguments_are_passed_and_the_result_is_sent_back(new_store, run):
    """``Call(fn, args, kwargs)`` sends back ``fn(*args, **kwargs)``."""

    def saga():
        first = yield Call(divmod, (7, 2))
        second = yield Call(dict, (), {"a": 1})
        third = yield Call(fn=int)
        return first, second, third

    assert run(new_store(), saga()) == ((3, 1), {"a": 1}, 0)


def test_the_function_runs_on_a_worker(new_store, run):
    """A call never runs on the thread that started the saga."""

    def saga():
        return (yield Call(threading.current_thread))

    thread = run(new_store(), saga())
    assert thread is not threading.current_thread()
    assert thread.name.startswith("milo-worker-")


EXITS = [SystemExit, KeyboardInterrupt, BaseException]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *(("plain", error) for error in [ValueError, *EXITS, GeneratorExit, StopIteration]),
        *(("async", error) for error in [ValueError, *EXITS]),
    ],
)
def test_any_error_is_thrown_at_the_yield(new_store, run, error, kind):
    """Whatever a call raises, exits included, can be caught in the saga, which goes on."""

    def fail():
        raise error("broken")

    async def fail_later():
        await asyncio.sleep(0)
        raise error("broken")

    def saga():
        try:
            yield Call(fail if kind == "plain" else fail_later)
        except error as caught:
            text = str(caught)
        yield Put(Action("WENT ON"))
        return text, (yield Call(int))

    store = new_store(max_workers=1)
    for _ in range(2):
        assert run(store, saga()) == ("broken", 0)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_an_exit_nobody_catches_is_the_sagas_error(new_store, run, reports, ended, error):
    """An exit ends the saga that called for it, is reported, and takes no worker down."""

    def fail():
        raise error("broken")

    def saga():
        yield Call(fail)

    store = new_store(max_workers=1)
    assert ended(store.run_saga(saga())) is error
    assert reports(store) == [("@@SAGA_ERROR", error.__name__)]
    assert run(store, iter_one(Call(int))) == 0


def iter_one(effect):
    return (yield effect)


def test_a_stop_iteration_nobody_catches_is_an_error_too(new_store, ended, reports):
    """A call's ``StopIteration`` does not pass for the saga's normal end."""

    def fail():
        raise StopIteration(5)

    store = new_store()
    assert ended(store.run_saga(iter_one(Call(fail)))) is RuntimeError
    assert reports(store) == [("@@SAGA_ERROR", "RuntimeError")]


def test_the_cancellation_of_another_saga_is_an_ordinary_error(new_store, run):
    """A call that waits for a saga which is cancelled raises ``ChildCancelledError``."""
    store = new_store(max_workers=2)
    other = store.run_saga(iter_one(Take("NEVER")))
    other.cancel()

    def saga():
        with pytest.raises(ChildCancelledError) as caught:
            yield Call(other.result)
        assert isinstance(caught.value.__cause__, SagaCancelled)
        return "lives"

    assert run(store, saga()) == "lives"


def test_an_async_function_is_awaited_on_one_event_loop(new_store, run):
    """What an ``async def`` returns is sent back; all of them share one thread."""

    async def where(value):
        await asyncio.sleep(0)
        return value, threading.current_thread().name

    def saga():
        first = yield Call(where, (1,))
        second = yield Call(partial(where, 2))
        return first, second

    assert run(new_store(), saga()) == ((1, "milo-event-loop"), (2, "milo-event-loop"))


def test_thousands_of_async_calls_hold_no_worker(new_store, park, run, gate, hangs):
    """Two thousand coroutines wait at once, on two workers that stay free."""
    store = new_store(max_workers=2)
    begun, all_begun, release = [], gate(), []

    async def wait():
        event = asyncio.Event()
        release.append((asyncio.get_running_loop(), event))
        begun.append(1)
        if len(begun) == 2000:
            all_begun.set()
        await event.wait()
        return 1

    tasks = [store.run_saga(iter_one(Call(wait))) for _ in range(2000)]
    all_begun.pass_through()
    assert store.wait_idle(hangs)
    assert store.pool_active == 0
    assert run(store, iter_one(Call(int))) == 0
    for loop, event in release:
        loop.call_soon_threadsafe(event.set)
    assert sum(task.result(hangs) for task in tasks) == 2000


def test_cancelling_an_async_call_cancels_the_coroutine_first(new_store, gate, ended):
    """The coroutine has cleaned up when the saga's own cleanup begins."""
    begun, order = gate(), []

    async def wait():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            order.append("coroutine")

    def saga():
        try:
            yield Call(wait)
        finally:
            order.append("saga")

    store = new_store()
    task = store.run_saga(saga())
    begun.pass_through()
    task.cancel()
    assert ended(task) is SagaCancelled
    assert order == ["coroutine", "saga"]


def test_shutdown_lets_a_coroutine_clean_up(new_store, park, gate):
    """The loop is not closed before a cancelled coroutine has finished."""
    begun, cleaned = gate(), []

    async def wait():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0.001)
            cleaned.append(True)

    store = new_store()
    store.run_saga(iter_one(Call(wait)))
    begun.pass_through()
    store.shutdown()
    assert cleaned == [True]


def test_a_coroutine_that_exits_leaves_the_others_alone(new_store, gate, ended, hangs):
    """``sys.exit()`` in one coroutine is that call's error; the loop goes on."""
    begun, release = gate(), []

    async def steady():
        event = asyncio.Event()
        release.append((asyncio.get_running_loop(), event))
        begun.set()
        await event.wait()
        return "steady"

    async def leave():
        raise SystemExit(3)

    store = new_store()
    task = store.run_saga(iter_one(Call(steady)))
    begun.pass_through()
    assert ended(store.run_saga(iter_one(Call(leave)))) is SystemExit
    loop, event = release[0]
    loop.call_soon_threadsafe(event.set)
    assert task.result(hangs) == "steady"


def test_a_coroutine_sees_the_sagas_context_variables(new_store, run):
    """An async call runs with the variables of the saga that made it."""
    name = contextvars.ContextVar("name", default="nobody")

    async def read():
        await asyncio.sleep(0)
        return name.get()

    def saga():
        name.set("ada")
        yield Delay(0)
        return (yield Call(read))

    assert run(new_store(), saga()) == "ada"


@pytest.mark.parametrize(
    ("fn", "args", "says"),
    [(5, (), "takes a function"), (print, "text", "write \\(arg,\\)"), (print, 5, "takes a tuple")],
)
def test_a_malformed_call_is_refused_where_it_is_written(fn, args, says):
    """The mistake shows at construction, with what to write instead."""
    with pytest.raises(TypeError, match=says):
        Call(fn, args)
