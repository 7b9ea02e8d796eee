"""``TimelineServer``: the runs of this process as MCP resources."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

import milo_mcp
from milo_mcp.controls import PipelineControls
from milo_mcp.documents import CursorError, log_page, timeline
from milo_mcp.http import Listener
from milo_mcp.runs import RUNS, Run, RunBook
from milo_mcp.stdio import Wire
from milo_mcp.subscriptions import Subscriptions
from milo_mcp.tools import Tools
from milo_mcp.updates import Updates
from milo_mcp.uris import ACTIVE, LOGS, TIMELINES, LogsOf, UriError, parse, timeline_uri
from milo_pipeline.timeline import get_active_pipeline

Context = ServerRequestContext[Any, Any]
_JSON = "application/json"
_NOT_FOUND = -32002


class _Server(Server[Any]):
    """Says to clients of the handshake era, whatever the transport, that it tells of new runs."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        return super().create_initialization_options(
            notification_options or NotificationOptions(resources_changed=True),
            experimental_capabilities,
            extensions,
        )


class TimelineServer:
    """Serves timelines and logs of the runs that begin while it serves, and the active one.

    Its methods belong to one event loop; what it shows may change on any thread.

        await TimelineServer().serve_stdio()

    Args:
        name: what the server calls itself.
        controls: what clients may run, cancel and re-run; without them there are no tools.
        book: the runs to show; those of this process by default.
    """

    def __init__(
        self, name: str = "milo", *, controls: PipelineControls | None = None, book: RunBook = RUNS
    ) -> None:
        self._book = book
        self._updates = Updates(book)
        tools = None if controls is None else Tools(controls, book, self._updates)
        subscriptions = self._subscriptions = Subscriptions(self._updates)
        self.on_open: Callable[[], object] = lambda: None
        """Called on the event loop when the first client may be told of runs."""
        self.server: Server[Any] = _Server(
            name,
            version=milo_mcp.__version__,
            instructions=(
                f"Read {ACTIVE} for the pipeline that runs now, and subscribe to it to hear of "
                "every change. Each run has a timeline of its own, whose phases say where their "
                "logs are."
            ),
            lifespan=self._lifespan,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_subscribe_resource=subscriptions.subscribe,
            on_unsubscribe_resource=subscriptions.unsubscribe,
            on_subscriptions_listen=subscriptions.listen,
            on_list_tools=None if tools is None else tools.list,
            on_call_tool=None if tools is None else tools.call,
        )
        """The SDK's server, to be served by other transports."""

    async def serve_stdio(self, wire: Wire | None = None) -> None:
        """Serve one client on stdin and stdout until it hangs up.

        Meanwhile nothing else in the process can write to that stdout: what is printed, by
        child processes as well, goes to stderr. A ``wire`` that was taken before is not given
        back at the end.
        """
        if wire is None:
            with Wire() as wire:
                await self.serve_stdio(wire)
            return
        stdin, stdout = cast("Any", wire.incoming), cast("Any", wire.outgoing)
        options = self.server.create_initialization_options()
        try:
            async with stdio_server(stdin, stdout) as (incoming, outgoing):
                await self.server.run(incoming, outgoing, options)
        except* ConnectionError:
            pass  # it hung up while it was being told something

    def listen_on(
        self, port: int = 0, *, host: str = "127.0.0.1", token: str | None = None
    ) -> Listener:
        """A socket on which ``serve`` then answers over HTTP.

            listener = TimelineServer().listen_on(8765, token=secret)
            print(listener.url)
            await listener.serve()

        Raises:
            ValueError, OSError: as ``Listener`` says.
        """
        return Listener(self.server, port, host=host, token=token)

    async def finish(self, patience: float = 3.0) -> None:
        """Let clients hear and read the last of what they subscribed to, then end subscriptions.

        Returns when all have unsubscribed, or after ``patience`` seconds; at once if nobody has
        subscribed. The server answers as before until its transport is stopped.
        """
        await self._updates.end(patience)

    @asynccontextmanager
    async def _lifespan(self, server: Server[Any]) -> AsyncIterator[dict[str, Any]]:
        self._updates.open()
        try:
            self.on_open()
            yield {}
        finally:
            self._updates.close()

    async def _list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        self._subscriptions.follow_list(ctx)
        resources = [
            types.Resource(
                uri=ACTIVE,
                name="active pipeline",
                description="The timeline of the pipeline that runs now, or ran last",
                mime_type=_JSON,
            )
        ]
        resources += [
            types.Resource(
                uri=timeline_uri(run.id),
                name=run.id,
                description=f"The timeline of a run of pipeline {run.state.name!r}",
                mime_type=_JSON,
            )
            for run in self._book
        ]
        return types.ListResourcesResult(resources=resources)

    async def _list_templates(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    uri_template=TIMELINES, name="timeline of a run", mime_type=_JSON
                ),
                types.ResourceTemplate(
                    uri_template=LOGS,
                    name="logs of a phase",
                    description="Its lines, a page at a time; the next begins at next_cursor",
                    mime_type=_JSON,
                ),
            ]
        )

    async def _read_resource(
        self, ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(params.uri)
        text = json.dumps(self._document(uri))
        content = types.TextResourceContents(uri=uri, mime_type=_JSON, text=text)
        return types.ReadResourceResult(contents=[content])

    def _document(self, uri: str) -> dict[str, Any]:
        try:
            address = parse(uri)
            if isinstance(address, LogsOf):
                return self._logs(address)
        except (UriError, CursorError) as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from error
        if not address.run_id:
            return self._active()
        return timeline(self._run(address.run_id).state, address.run_id)

    def _active(self) -> dict[str, Any]:
        state = get_active_pipeline()
        run = None if state is None else self._book.run_of(state)
        return timeline(state, "" if run is None else run.id)

    def _logs(self, address: LogsOf) -> dict[str, Any]:
        run = self._run(address.run_id)
        for phase in run.state.phases:
            if phase.name == address.phase:
                return log_page(run, phase, address)
        raise MCPError(
            _NOT_FOUND,
            f"run {run.id!r} has no phase {address.phase[:200]!r}; its timeline lists them",
        )

    def _run(self, run_id: str) -> Run:
        run = self._book.run(run_id)
        if run is None:
            known = ", ".join(each.id for each in self._book) or "none"
            raise MCPError(_NOT_FOUND, f"there is no run {run_id[:200]!r}; known are: {known}")
        return run
