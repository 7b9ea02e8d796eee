"""``run_async``: the same from a coroutine, which can be cancelled."""

import asyncio
import os
import sys
import threading

import pytest

from milo_capture import (
    CancelToken,
    LineFeed,
    ProcessCancelled,
    ProcessFailed,
    cancelled_by,
    capture,
    run_async,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

SLEEPS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def python(code):
    return [sys.executable, "-c", code]


def assert_gone(pid):
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_programs_of_tasks_run_at_once_and_apart():
    """Each task has the output of its own program; the loop goes on meanwhile."""

    async def work(name):
        with capture() as output:
            done = await run_async(python(f"print({name!r}, input())"), input="x")
        return output.text, done.stdout

    async def main():
        return await asyncio.gather(*[work(name) for name in "abcd"])

    assert asyncio.run(main()) == [(f"{name} x\n", f"{name} x\n") for name in "abcd"]


def test_errors_are_raised_in_the_coroutine():
    """As ``run`` raises them."""
    with pytest.raises(ProcessFailed, match="exit code 3"):
        asyncio.run(run_async(python("raise SystemExit(3)")))
    with pytest.raises(TypeError, match="Pass a list"):
        asyncio.run(run_async("ls"))


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("attempt", range(3))
def test_a_cancelled_task_ends_its_program_first(attempt, times):
    """When the task is cancelled, once or more, its program is gone when the task is."""
    received = []

    async def work():
        async with feed.capture_async("a"):
            await run_async(python(SLEEPS))

    async def main():
        loop = asyncio.get_running_loop()
        started = asyncio.Event()
        feed.started = lambda: loop.call_soon_threadsafe(started.set)
        task = asyncio.create_task(work())
        await asyncio.wait_for(started.wait(), 60)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_gone(received[0])

    def deliver(batch):
        received.extend(line.text for _, line in batch)
        feed.started()

    with LineFeed(deliver) as feed:
        asyncio.run(main())


@pytest.mark.parametrize("by", ["argument", "context"])
def test_a_token_ends_it(by):
    """Whether the token is given or stands around the call."""
    token = CancelToken()
    received = []

    async def work():
        async with feed.capture_async("a"):
            if by == "argument":
                await run_async(python(SLEEPS), cancel=token)
            with cancelled_by(token):
                await run_async(python(SLEEPS))

    def deliver(batch):
        received.extend(line.text for _, line in batch)
        # Not here: the program's last lines are delivered on this thread.
        threading.Thread(target=token.cancel).start()

    with LineFeed(deliver) as feed, pytest.raises(ProcessCancelled):
        asyncio.run(work())
    assert_gone(received[0])
    assert not token._callbacks
