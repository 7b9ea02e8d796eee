"""Coroutines in a simulation: on virtual time, one callback at a time."""

import asyncio
import contextvars
import logging
import socket

import pytest

from milo_core import StateError
from milo_effects import All, Call, Retry, SagaCancelled, Take, Timeout
from milo_effects.testing import SimulationError, SimulationStuck, explore, simulate
from milo_effects.testing._choices import Choices
from milo_effects.testing._looping import SimulatedLoop
from milo_effects.testing._world import World


def outcome_of(function, *args, seed=0):
    """What a saga gets that calls ``function``, and the virtual time then."""
    seen = []

    def workload(sim):
        sim.store()

        def saga():
            return (yield Call(function, args))

        task = sim.run_saga(saga)
        try:
            seen.append((task.result(), sim.now))
        except Exception as error:
            seen.append((error, sim.now))

    simulate(workload, seed=seed)
    return seen[0]


def test_sleeping_takes_virtual_time():
    """An hour passes at once; coroutines sleep at the same time."""

    async def sleep(seconds):
        await asyncio.sleep(seconds)
        return seconds

    def workload(sim):
        sim.store()

        def saga():
            return (yield All((Call(sleep, (3600,)), Call(sleep, (60,)))))

        assert sim.run_saga(saga).result() == (3600, 60)
        assert sim.now == 3600

    assert explore(workload, range(20)) is None


def test_what_asyncio_offers_works():
    """Tasks, groups, timeouts, locks, queues and threads: all of it on the one loop."""

    async def everything():
        queue, lock = asyncio.Queue(), asyncio.Lock()

        async def produce():
            async with lock:
                await asyncio.sleep(1)
                await queue.put("made")

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            made = await asyncio.wait_for(queue.get(), 3600)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon_threadsafe(future.set_result, "told")
        return made, await future, await asyncio.to_thread(max, 3, 4), loop.time()

    assert outcome_of(everything) == (("made", "told", 4, 1.5), 1.5)


def test_errors_go_to_the_saga():
    """What a coroutine, or a function in a thread, raises is thrown."""

    async def fail():
        await asyncio.sleep(1)
        await asyncio.to_thread(int, "x")

    error, now = outcome_of(fail)
    assert isinstance(error, ValueError)
    assert now == 1


def test_a_coroutine_that_exits_is_the_sagas_failure():
    """SystemExit does not end the simulation."""

    async def leave():
        raise SystemExit(3)

    def workload(sim):
        sim.store()

        def saga():
            try:
                yield Call(leave)
            except SystemExit as exit_:
                return exit_.code

        assert sim.run_saga(saga).result() == 3

    simulate(workload)


def test_a_callback_that_raises_is_logged(caplog):
    """As on every loop; what comes behind it is called."""

    async def careless():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        handle = asyncio.get_running_loop().call_soon(pytest.fail, "it was cancelled")
        handle.cancel()
        await asyncio.sleep(0)
        return "done"

    with caplog.at_level(logging.ERROR, "asyncio"):
        assert outcome_of(careless) == ("done", 0)
    assert "ZeroDivisionError" in caplog.text


def test_cancelling_and_shutting_down_let_coroutines_clean_up():
    """CancelledError comes at the await, and cleanup may sleep."""

    def workload(sim):
        sim.store()
        cleaned = []

        async def careful(name):
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(1)
                cleaned.append(name)

        def saga(name):
            yield Call(careful, (name,))

        def stuck():
            try:
                yield Timeout(Call(careful, ("timed out",)), 0.5)
            except TimeoutError:
                yield Take("NEVER")

        task = sim.run_saga(saga("cancelled"))
        sim.run_saga(saga("shut down"))
        sim.run_saga(stuck)
        sim.cancel(task, at=0.2)
        sim.run(50)
        with pytest.raises(SagaCancelled):
            task.result()
        sim.shutdown()
        assert sorted(cleaned) == ["cancelled", "shut down", "timed out"]

    assert explore(workload, range(30)) is None


def test_cleanup_that_takes_too_long_is_cancelled():
    """As on the real loop, shutdown cancels once more what is left after its five seconds."""
    seen = []

    async def slow():
        try:
            await asyncio.sleep(100)
        finally:
            try:
                await asyncio.sleep(100)
            finally:
                seen.append(asyncio.get_running_loop().time())

    def workload(sim):
        sim.store()
        sim.run_saga(iter_call(slow))
        sim.run(10)

    simulate(workload, until=0)
    assert seen == [15]


def test_a_coroutine_that_cannot_be_ended_is_told_of():
    """It would have hung the real shutdown; here that is an error."""

    async def stubborn():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    def workload(sim):
        sim.store()
        sim.run_saga(iter_call(stubborn))

    with pytest.raises(SimulationStuck, match="nothing can happen any more"):
        simulate(workload)


def iter_call(function):
    """A saga that calls it."""
    yield Call(function)


def test_the_order_of_ends_is_chosen():
    """Of coroutines that end at the same time, any may be first."""
    winners = set()

    async def attempt(log, name):
        await asyncio.sleep(1)
        log.append(name)

    def workload(sim):
        sim.store()
        log = []

        def saga():
            yield All((Call(attempt, (log, "a")), Call(attempt, (log, "b"))))

        sim.run_saga(saga).result()
        winners.add(log[0])

    assert explore(workload, range(30)) is None
    assert winners == {"a", "b"}


def test_retries_of_coroutines_wait_on_virtual_time():
    """Backoff and coroutine share the one time."""
    attempts = []

    async def flaky():
        attempts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)
        if len(attempts) < 3:
            raise OSError
        return "at last"

    def workload(sim):
        attempts.clear()
        sim.store()

        def saga():
            return (yield Retry(flaky, base_delay=1))

        assert sim.run_saga(saga).result() == "at last"
        assert attempts == [0, 2, 5]

    simulate(workload)


def test_they_keep_the_sagas_context_variables():
    """A coroutine sees what its saga has set."""
    name = contextvars.ContextVar("name")

    async def look():
        await asyncio.sleep(0)
        return name.get()

    def workload(sim):
        sim.store()

        def saga():
            name.set("mine")
            return (yield Call(look))

        assert sim.run_saga(saga).result() == "mine"

    simulate(workload)


def test_the_real_world_is_refused():
    """Sockets and the like cannot be repeated; the error says what to do."""

    async def connect():
        reader, _ = await asyncio.open_connection("localhost", 1)
        return reader

    async def send():
        left, right = socket.socketpair()
        with left, right:
            await asyncio.get_running_loop().sock_sendall(left, b"x")

    for function in (connect, send):
        error, _ = outcome_of(function)
        assert isinstance(error, SimulationError)
        assert "needs the real world" in str(error)


def test_a_closed_loop_runs_nothing():
    """As the real one: StateError, and the coroutine is closed."""

    async def never():
        raise NotImplementedError

    async def soon():
        return 1

    world = World(Choices(None), 100)
    loop = SimulatedLoop(world)
    ended = []
    cancel = loop.run(soon(), lambda *outcome: ended.append(outcome))
    world.run()
    assert ended == [(1, None)]
    assert not loop.is_current()
    loop.close()
    loop.close()
    cancel()
    coroutine = never()
    with pytest.raises(StateError, match="runs no more coroutines"):
        loop.run(coroutine, print)
    assert coroutine.cr_frame is None
