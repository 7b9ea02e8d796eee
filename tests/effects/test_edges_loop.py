"""The event loop's thread at its edges: before a coroutine begins, and as the loop ends."""

import asyncio
import logging
import threading
from inspect import CORO_CLOSED, getcoroutinestate

import pytest

from milo_effects import Call
from milo_effects._loop import EventLoopThread


def one(effect):
    return (yield effect)


class Outcome:
    """What a coroutine ended with, once it has."""

    def __init__(self, ended):
        self._ended = ended
        self.result = self.error = None

    def __call__(self, result, error):
        self.result, self.error = result, error
        self._ended.set()

    def wait(self):
        self._ended.pass_through()
        return self.result if self.error is None else type(self.error)


@pytest.fixture
def outcome(gate):
    """``outcome()`` is what ``EventLoopThread.run`` may tell how a coroutine has ended."""
    return lambda: Outcome(gate())


@pytest.fixture
def loop(gate):
    """A loop's thread, which is closed after the test, before threads are looked for."""
    made = EventLoopThread()
    yield made
    made.close()


def test_cancelled_before_its_first_step_a_coroutine_never_runs(loop, gate, outcome):
    """It ends with ``CancelledError``, though the loop had no time for it until then."""
    begun, release, steps = gate(), gate(), []

    async def hold():
        begun.set()
        release.pass_through()

    async def late():
        steps.append(1)

    held, cancelled = outcome(), outcome()
    loop.run(hold(), held)
    begun.pass_through()
    loop.run(late(), cancelled)()
    release.set()
    assert held.wait() is None
    assert cancelled.wait() is asyncio.CancelledError
    assert steps == []


def test_cancelling_after_the_end_is_harmless(loop, outcome):
    """Whether the coroutine has ended or the loop has been closed."""

    async def work():
        return 5

    done = outcome()
    cancel = loop.run(work(), done)
    assert done.wait() == 5
    cancel()
    loop.close()
    cancel()
    assert done.wait() == 5


async def leave_three(work):
    """Leave three tasks running that nobody awaits, once each of them has begun."""
    tasks = []
    for _ in range(3):
        begun = asyncio.Event()
        tasks.append(asyncio.create_task(work(begun)))
        await begun.wait()
    return tasks


@pytest.mark.parametrize("error", [None, ValueError])
def test_closing_lets_tasks_that_nobody_awaits_clean_up(loop, outcome, caplog, error):
    """What a coroutine has left running is cancelled, and the loop runs until all have ended."""
    caplog.set_level(logging.CRITICAL, "asyncio")  # which tells of an error nobody retrieved
    cleaned = []

    async def wait(begun):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(1)
            if error is not None:
                raise error

    done = outcome()
    loop.run(leave_three(wait), done)
    tasks = done.wait()
    loop.close()
    assert cleaned == [1, 1, 1]
    assert all(task.done() for task in tasks)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_task_that_exits_in_its_cleanup_does_not_end_the_closing(loop, outcome, caplog, error):
    """The others are cancelled all the same, and the loop runs until all have ended."""
    caplog.set_level(logging.CRITICAL, "asyncio")

    async def wait(begun):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise error

    done = outcome()
    loop.run(leave_three(wait), done)
    tasks = done.wait()
    loop.close()
    assert [type(task.exception()) for task in tasks] == [error] * 3


def test_a_loop_whose_thread_cannot_be_started_is_tried_again(new_store, run, ended, monkeypatch):
    """The call fails with the system's error, and the next one gets a loop."""
    store = new_store(max_workers=1)
    assert run(store, one(Call(int))) == 0  # the worker has its thread

    async def work():
        return "ran"

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    made = []

    def make():
        made.append(work())
        return made[0]

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert ended(store.run_saga(one(Call(make)))) is RuntimeError
    assert getcoroutinestate(made[0]) == CORO_CLOSED
    assert run(store, one(Call(work))) == "ran"


def test_an_error_of_the_loop_that_is_not_its_end_is_told(loop, outcome, monkeypatch):
    """Who cancels is told that it did not come about, for the coroutine goes on."""

    class Moody(asyncio.SelectorEventLoop):
        refuses = False

        def call_soon_threadsafe(self, callback, *args, context=None):
            if self.refuses:
                raise RuntimeError("not now")
            return super().call_soon_threadsafe(callback, *args, context=context)

    moody = Moody()
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: moody)

    async def wait():
        await asyncio.Event().wait()

    done = outcome()
    cancel = loop.run(wait(), done)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="not now"):
        patch.setattr(moody, "refuses", True)
        cancel()
    cancel()
    assert done.wait() is asyncio.CancelledError


def test_a_coroutine_that_cannot_become_a_task_is_told_of(loop, outcome, caplog):
    """A task factory that fails is that call's error; cancelling it afterwards is harmless."""

    async def set_factory():
        asyncio.get_running_loop().set_task_factory(refuse)

    async def work():
        pass

    def refuse(loop, coroutine, **options):
        asyncio.get_running_loop().set_task_factory(None)
        raise LookupError("no task")

    first, second, third = outcome(), outcome(), outcome()
    loop.run(set_factory(), first)
    assert first.wait() is None
    cancel = loop.run(work(), second)
    assert second.wait() is LookupError
    cancel()
    loop.run(work(), third)
    assert third.wait() is None
