"""A server for MCP clients on a thread of its own, beside whatever the command does.

Standard output belongs to the command, or to the client; what there is to say goes to standard
error.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from milo._cli.errors import CommandError
from milo_pipeline.text import one_line

if TYPE_CHECKING:
    from milo_mcp import PipelineControls, TimelineServer, Wire

LOOPBACK: Final = "127.0.0.1"
TOKEN_VARIABLE: Final = "MILO_MCP_TOKEN"
LAST_MOMENT: Final = 3.0
"""Seconds that clients have at the end to hear and read how it was for what they follow."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a server reaches its clients.

    Attributes:
        serve: does it, until ``end`` is called with its task or the last client has hung up.
        url: where clients find it, if they have to.
    """

    serve: Callable[[], Coroutine[Any, Any, None]]
    end: Callable[[asyncio.Task[None]], object]
    url: str = ""


class Service:
    """``server`` on a thread of its own, from ``start`` until its client hangs up or ``stop``.

    At the end runs of ``controls`` are cancelled and waited for, and clients have a moment for the
    last of what they have subscribed to.
    """

    def __init__(
        self, server: TimelineServer, way: Way, controls: PipelineControls | None = None
    ) -> None:
        self._server = server
        self._way = way
        self._controls = controls
        self._failure: BaseException | None = None
        self._stopping = asyncio.Event()
        self._is_open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._ended: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="milo-mcp", daemon=True)

    def start(self, ended: Callable[[], object] = lambda: None) -> None:
        """Serve; returns when clients may be told of runs. At the end that thread calls ``ended``.

        Raises:
            CommandError: it could not begin.
        """
        self._ended = ended
        self._server.on_open = self._is_open.set
        self._thread.start()
        self._is_open.wait()
        self._refuse_failure()
        if self._way.url:
            say(f"MCP clients find this at {self._way.url}")

    def stop(self) -> None:
        """Begin the end; from any thread, again is harmless."""
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stopping.set)

    def join(self) -> None:
        """Wait for the end.

        Raises:
            CommandError: it was not meant to end.
        """
        self._thread.join()
        self._refuse_failure()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as failure:  # told to whoever waits
            self._failure = failure
        finally:
            self._is_open.set()
            self._ended()

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._way.serve())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._controls is not None:
            await asyncio.to_thread(self._controls.close)
        if not serving.done():
            await self._server.finish(LAST_MOMENT)
            self._way.end(serving)
        with suppress(asyncio.CancelledError):
            await serving

    def _refuse_failure(self) -> None:
        if self._failure is not None:
            raise CommandError(f"the MCP server has failed: {self._failure}") from self._failure


def on_wire(server: TimelineServer, wire: Wire) -> Way:
    """One client, on stdin and stdout."""
    return Way(lambda: server.serve_stdio(wire), lambda serving: serving.cancel())


def on_port(server: TimelineServer, port: int, *, host: str, token: str | None) -> Way:
    """Any number of clients, over HTTP.

    Raises:
        CommandError: the port or the host cannot be had, or should not be.
    """
    try:
        listener = server.listen_on(port, host=host, token=token)
    except OSError as refused:
        raise CommandError(
            f"cannot listen on {host} port {port}: {refused.strerror or refused}; choose another "
            "port, or 0 for one that is free"
        ) from refused
    except ValueError as wrong:
        raise CommandError(f"{wrong} (--token, or {TOKEN_VARIABLE} in the environment)") from wrong
    return Way(listener.serve, lambda serving: listener.stop(), listener.url)


def timeline_server(controls: PipelineControls | None = None) -> TimelineServer:
    """A server of the runs of this process."""
    from milo_mcp import TimelineServer

    return TimelineServer(controls=controls)


def refuse_unless_installed() -> None:
    """Raise ``CommandError``, which says what to install, unless clients can be served."""
    try:
        import milo_mcp.server  # noqa: F401 (only whether it is there)
    except ImportError as missing:
        raise CommandError(
            f"serving MCP clients needs milo-mcp, which cannot be imported ({missing}); install "
            "it again, with: pip install 'mcp>=2.3,<3'"
        ) from missing


@contextmanager
def served(port: int | None, token: str | None) -> Iterator[None]:
    """In the block, runs of this process are served on ``port``, if there is one.

    Raises:
        CommandError: they cannot be.
    """
    if port is None:
        yield
        return
    refuse_unless_installed()
    server = timeline_server()
    service = Service(server, on_port(server, port, host=LOOPBACK, token=token))
    service.start()
    try:
        yield
    finally:
        service.stop()
        service.join()


def say(text: str) -> None:
    """Tell the user; not on standard output."""
    click.echo(f"milo: {one_line(text)}", err=True)
