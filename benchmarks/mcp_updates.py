"""From a phase's change to the notification at a client in another process."""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Iterator

import mcp
from mcp_types import TextResourceContents

from measure import Row, main
from milo_mcp import TimelineServer
from milo_mcp.runs import RUNS
from milo_mcp.uris import timeline_uri
from milo_pipeline.state import PipelineState

CHANGES = 200
BURST = 1_000


def serve() -> None:
    """The server's process: makes a run, and changes its state when the clock says so."""
    server = TimelineServer()

    def change() -> None:
        run = RUNS.begin(PipelineState("bench"))
        time.sleep(1)
        for number in range(CHANGES):
            time.sleep(0.05)
            run.moved(PipelineState("bench", elapsed=time.monotonic(), progress=float(number)))
        time.sleep(0.5)
        begun = time.perf_counter()
        for number in range(BURST):
            run.moved(PipelineState("burst", elapsed=time.monotonic(), progress=float(number)))
            time.sleep(max(0, begun + (number + 1) / BURST - time.perf_counter()))
        time.sleep(0.2)
        run.ended(PipelineState("end"))

    server.on_open = threading.Thread(target=change, daemon=True).start
    asyncio.run(server.serve_stdio())


async def follow() -> tuple[list[float], int]:
    """Milliseconds from each change to its notification; how many the burst led to."""
    parameters = mcp.StdioServerParameters(command=sys.executable, args=[__file__, "serve"])
    took: list[float] = []
    burst = 0
    uri = timeline_uri("run-1")
    async with (
        mcp.Client(parameters, cache=None) as client,
        client.listen(resource_subscriptions=[uri]) as stream,
    ):
        async for _ in stream:
            heard = time.monotonic()
            (content,) = (await client.read_resource(uri)).contents
            assert isinstance(content, TextResourceContents)
            text = content.text
            if '"end"' in text:
                return took, burst
            if '"burst"' in text:
                burst += 1
            else:
                changed = float(text.split('"elapsed": ')[1].split(",")[0])
                took.append((heard - changed) * 1e3)
    raise AssertionError("the server has hung up")


def rows() -> Iterator[Row]:
    took, burst = asyncio.run(follow())
    print(
        f"{len(took)} of {CHANGES} changes heard; p95 {sorted(took)[int(len(took) * 0.95)]:.1f} ms"
    )
    median = statistics.median(took)
    yield Row("from a change to its notification", median, 1, 25, "ms", absolute=True)
    yield Row(
        f"notifications of {BURST:,} changes in a second", burst, BURST, 60, "", absolute=True
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        main("milo-mcp", rows)
