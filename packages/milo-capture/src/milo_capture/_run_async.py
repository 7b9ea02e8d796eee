"""Running a program from a coroutine."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial

from milo_capture._cancelling import CancelToken, current_cancel
from milo_capture._run import Argument, CompletedRun, run


async def run_async(
    args: Sequence[Argument],
    *,
    timeout: float | None = None,  # noqa: ASYNC109  # as run has it: it ends the program too
    cwd: Argument | None = None,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,
    check: bool = True,
    encoding: str = "utf-8",
    errors: str = "replace",
    cancel: CancelToken | None = None,
    kill_after: float = 5.0,
    request: bytes | None = None,
) -> CompletedRun:
    """As ``run``, for a coroutine; the event loop goes on meanwhile.

    When the task is cancelled the program and its group are ended first, as ``run`` ends
    them; then the cancellation goes on. Each call has a thread for as long as it takes.
    """
    outer = cancel or current_cancel() or CancelToken()
    token = CancelToken()
    undo = outer.on_cancel(token.cancel)
    done = asyncio.wrap_future(
        _in_a_thread(
            partial(
                run,
                args,
                timeout=timeout,
                cwd=cwd,
                env=env,
                input=input,
                check=check,
                encoding=encoding,
                errors=errors,
                cancel=token,
                kill_after=kill_after,
                request=request,
            )
        )
    )
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        token.cancel()
        await _ended(done)
        raise
    finally:
        undo()


def _in_a_thread(work: Callable[[], CompletedRun]) -> "Future[CompletedRun]":
    # Not one of the loop's executor: a few long programs would use all of them up.
    outcome: Future[CompletedRun] = Future()
    outcome.set_running_or_notify_cancel()

    def settle() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # raised where the coroutine waits
            outcome.set_exception(error)

    threading.Thread(
        target=copy_context().run, args=(settle,), name="milo-capture-run", daemon=True
    ).start()
    return outcome


async def _ended(done: "asyncio.Future[CompletedRun]") -> None:
    while not done.done():
        # Cancelled again: it is on its way already, and the first one is raised in the end.
        with suppress(asyncio.CancelledError):
            await asyncio.wait([done])
    done.exception()  # looked at: the cancellation is what the caller hears of
