"""The tools of a server that was told to run pipelines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from milo_mcp.controls import ControlError, PipelineControls
from milo_mcp.documents import failures, timeline
from milo_mcp.runs import RunBook
from milo_mcp.shapes import (
    Arguments,
    CancelPipeline,
    Nothing,
    Pipelines,
    RerunPhase,
    RunPipeline,
    Shape,
    Started,
    Stopped,
    Waiting,
    described,
)
from milo_mcp.updates import Subscriber, Updates
from milo_mcp.uris import timeline_uri

Context = ServerRequestContext[Any, Any]


Call: TypeAlias = Callable[[Context, Any], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Tool:
    description: str
    arguments: type[Arguments]
    answer: type[Shape]
    call: Call
    only_reads: bool = False


class Tools:
    """Answers ``tools/list`` and ``tools/call``. Runs on the event loop."""

    def __init__(self, controls: PipelineControls, book: RunBook, updates: Updates) -> None:
        self._controls = controls
        self._book = book
        self._updates = updates
        self._tools: Final = {
            "list_pipelines": _Tool(
                "The pipelines that can be run, with their parameters and phases.",
                Nothing,
                Pipelines,
                self._list_pipelines,
                only_reads=True,
            ),
            "run_pipeline": _Tool(
                "Run a pipeline. Answers with the id of the run at once, unless told to wait.",
                RunPipeline,
                Started,
                self._run_pipeline,
            ),
            "cancel_pipeline": _Tool("Stop a run.", CancelPipeline, Stopped, self._cancel_pipeline),
            "rerun_phase": _Tool(
                "Run a failed phase again, and what waits for it, in a new run that keeps the "
                "results of the phases that were completed.",
                RerunPhase,
                Started,
                self._rerun_phase,
            ),
        }

    async def list(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """All tools, with the types of their arguments."""
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=name,
                    description=tool.description,
                    input_schema=tool.arguments.schema_of(),
                    output_schema=tool.answer.schema_of(),
                    annotations=types.ToolAnnotations(read_only_hint=tool.only_reads),
                )
                for name, tool in self._tools.items()
            ]
        )

    async def call(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """What a tool answers; what it cannot do is an error that the model can read."""
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(
                types.INVALID_PARAMS,
                f"there is no tool {params.name[:200]!r}; there are: {', '.join(self._tools)}",
            )
        try:
            given = tool.arguments.model_validate(params.arguments or {})
            answer = await tool.call(ctx, given)
        except ValidationError as error:
            return _answer({"error": _told(params.name, error)}, is_error=True)
        except ControlError as error:
            return _answer({"error": str(error)}, is_error=True)
        return _answer(answer)

    async def _list_pipelines(self, ctx: Context, given: Nothing) -> dict[str, Any]:
        return {
            "pipelines": [
                {
                    "name": each.name,
                    "phases": [phase.name for phase in each.phases],
                    "params": [described(param) for param in each.params.values()],
                }
                for each in self._controls.pipelines.values()
            ]
        }

    async def _run_pipeline(self, ctx: Context, given: RunPipeline) -> dict[str, Any]:
        run_id = await asyncio.to_thread(self._controls.start, given.pipeline, given.params)
        return await self._started(ctx, run_id, given)

    async def _rerun_phase(self, ctx: Context, given: RerunPhase) -> dict[str, Any]:
        run_id = await asyncio.to_thread(self._controls.rerun, given.run, given.phase)
        return await self._started(ctx, run_id, given)

    async def _cancel_pipeline(self, ctx: Context, given: CancelPipeline) -> dict[str, Any]:
        return {"run": given.run, "was_running": self._controls.cancel(given.run)}

    async def _started(self, ctx: Context, run_id: str, given: Waiting) -> dict[str, Any]:
        uri = timeline_uri(run_id)
        if given.wait:
            await self._wait(ctx, run_id, uri)
        run = self._book.run(run_id)
        shown = timeline(None if run is None else run.state, run_id)
        failed = [] if run is None else failures(run)
        return {"run": run_id, "timeline": uri, "status": shown["status"], "failed": failed}

    async def _wait(self, ctx: Context, run_id: str, uri: str) -> None:
        run = self._book.run(run_id)
        if run is None:
            return
        ended = asyncio.Event()

        async def report(_: str) -> None:
            state, has_ended = run.state, run.has_ended
            await ctx.session.report_progress(state.progress, 1.0, state.current_phase or None)
            if has_ended:
                ended.set()

        subscriber = Subscriber(report)
        subscriber.uris.add(uri)
        self._updates.join(subscriber)
        reporting = asyncio.create_task(subscriber.send_updates())
        subscriber.offer([uri])  # it may have ended before anybody listened
        try:
            ending = asyncio.create_task(ended.wait())
            await asyncio.wait({ending, reporting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._updates.leave(subscriber)
            reporting.cancel()
            ending.cancel()


def _answer(answer: Mapping[str, Any], *, is_error: bool = False) -> types.CallToolResult:
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=json.dumps(answer))]
    if "timeline" in answer:
        link = types.ResourceLink(
            type="resource_link",
            name=f"timeline of {answer['run']}",
            uri=answer["timeline"],
            mime_type="application/json",
        )
        content.append(link)
    return types.CallToolResult(
        content=content,
        structured_content=None if is_error else dict(answer),
        is_error=is_error,
    )


def _told(tool: str, error: ValidationError) -> str:
    faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return f"{tool}: " + "; ".join(faults)
