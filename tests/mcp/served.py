"""A process that serves its pipeline on stdio; the pipeline goes on when its gate is opened."""

import asyncio
import sys
import threading

from milo_mcp import TimelineServer
from milo_pipeline import Phase, Pipeline

gate = (
    sys.argv[1] if len(sys.argv) > 1 else ""
)  # a FIFO: opening it waits for who opens its other end


waits = threading.Event()


def wait():
    """Goes on when somebody has written to the gate."""
    waits.set()
    with open(gate) as end:
        end.read()


def chatter():
    """Would break the wire if it got there."""
    print("{chatter\x1b[31m}")
    print("trouble", file=sys.stderr)


def main():
    captures = sys.argv[2] == "captured"
    pipeline = Pipeline(
        "build",
        Phase("wait", wait),
        Phase("print/it", chatter, depends_on=("wait",)),
        capture_output=captures,
    )

    async def serve():
        server = TimelineServer()

        def begin():
            threading.Thread(target=pipeline.run, daemon=True).start()
            waits.wait()

        server.on_open = begin
        if "http" not in sys.argv:
            await server.serve_stdio()
            return
        listener = server.listen_on(token="secret")
        print(listener.url, flush=True)
        await listener.serve()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
