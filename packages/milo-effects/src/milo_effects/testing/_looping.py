"""The simulator's event loop: coroutines on virtual time, one callback at a time.

``asyncio.sleep``, tasks, timeouts, locks, queues and ``asyncio.to_thread`` work. Sockets,
subprocesses and other things of the real world are refused: what they do cannot be repeated.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from milo_core import StateError
from milo_effects._loop import Ended
from milo_effects.testing._world import World
from milo_effects.testing.clock import VirtualClock, VirtualTimer
from milo_effects.testing.errors import SimulationError

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class SimulatedLoop:
    """Runs coroutines as ``EventLoopThread`` does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop: VirtualEventLoop | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._closed = False
        world.sources.append(self)

    # As every runner of coroutines

    def run(self, coroutine: Coroutine[Any, Any, Any], ended: Ended) -> Callable[[], None]:
        if self._closed:
            coroutine.close()
            raise StateError("the runtime has been shut down and runs no more coroutines")
        if self._loop is None:
            self._loop = VirtualEventLoop(self._world.new_clock())
        loop = self._loop
        task = loop.create_task(coroutine, context=copy_context())
        self._tasks[task] = None
        task.add_done_callback(partial(self._report, ended))

        def cancel() -> None:
            if not loop.is_closed():
                loop.call_soon(task.cancel)

        return cancel

    def is_current(self) -> bool:
        """Never: a loop without a thread of its own need not be left before it is closed."""
        return False

    def close(self) -> None:
        self._closed = True
        if self._loop is None:
            return
        for task in self._tasks:
            task.cancel()
        self._world.run_until(lambda: not self._tasks, None)
        self._loop.close()

    # As a source

    def count(self) -> int:
        return 1 if self._loop is not None and self._loop.ready else 0

    def happen(self, index: int) -> None:
        assert self._loop is not None
        self._world.as_another_thread(self._loop.run_next)

    def _report(self, ended: Ended, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if task.cancelled():
            ended(None, asyncio.CancelledError())
        else:
            error = task.exception()
            ended(None if error is not None else task.result(), error)


class _Callback(asyncio.TimerHandle):
    """Something that a loop will call, at once or when its ``timer`` has come."""

    __slots__ = ("_work", "timer")

    def __init__(
        self,
        loop: VirtualEventLoop,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self._work = partial((context or copy_context()).run, callback, *args)
        self.timer: VirtualTimer | None = None

    def cancel(self) -> None:
        super().cancel()
        if self.timer is not None:
            self.timer.cancel()

    def run(self) -> None:
        if not self.cancelled():
            self._work()


class VirtualEventLoop(asyncio.BaseEventLoop):
    """An event loop without a selector: somebody calls ``run_next`` while anything is ``ready``."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._virtual_clock = clock
        self.ready: deque[_Callback] = deque()

    def run_next(self) -> None:
        """Call what was scheduled first."""
        callback = self.ready.popleft()
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            callback.run()
        except (SystemExit, KeyboardInterrupt):
            pass  # asyncio lets these two through; the coroutine's task has ended with them
        except BaseException as error:  # as every loop: foreign callbacks' errors are logged
            self.call_exception_handler({"message": f"{callback!r} raised", "exception": error})
        finally:
            asyncio._set_running_loop(outer)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual_clock.now()

    def call_soon(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As every loop; first come, first called."""
        made = _Callback(self, self.time(), callback, args, context)
        self.ready.append(made)
        return made

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As ``call_soon``; there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As every loop, at a virtual time."""
        made = _Callback(self, when, callback, args, context)
        seconds = max(0.0, when - self.time())
        made.timer = self._virtual_clock.call_later(seconds, partial(self.ready.append, made))
        return made

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[Unpack[_Ts]], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        """Call ``func`` in a step of its own; every executor is this one thread."""
        return self.create_task(_called(partial(func, *args)))


async def _called(function: Callable[[], _T]) -> _T:
    return function()


_REAL: Final = (
    "add_reader",
    "add_signal_handler",
    "add_writer",
    "connect_accepted_socket",
    "connect_read_pipe",
    "connect_write_pipe",
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "getaddrinfo",
    "getnameinfo",
    "run_forever",
    "run_until_complete",
    "sendfile",
    "sock_accept",
    "sock_connect",
    "sock_recv",
    "sock_recv_into",
    "sock_sendall",
    "sock_sendfile",
    "start_tls",
    "subprocess_exec",
    "subprocess_shell",
)


def _refused(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **options: Any) -> Any:
        raise SimulationError(
            f"a coroutine called the event loop's {name}, which needs the real world, and a "
            "simulation has none; have the saga call a stand-in that sleeps and answers"
        )

    return refuse


for _name in _REAL:
    setattr(VirtualEventLoop, _name, _refused(_name))
