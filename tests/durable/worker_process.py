"""A worker as a process of its own: ``worker_process.py URL SCHEMA``, schema ``-`` for none.

Says ``in the step`` when it is, which ends after a signal has come; says ``stopped`` last.
"""

import asyncio
import sys

from databases import Database
from worker_tools import Gate, orchestrator_on, two_steps

from milo_durable import Worker


class Saying(Gate):
    async def execute(self, inp: str) -> str:
        print("in the step", flush=True)
        return await super().execute(inp)


async def main(url, schema):
    step = Saying(is_open=False)

    class Stopping(Worker):
        def stop(self):
            super().stop()
            step.may_end.set()

    database = Database(url, None if schema == "-" else schema)
    orchestrator = orchestrator_on(database.engine())
    orchestrator.register("order", two_steps(step, Gate()))
    worker = Stopping(orchestrator)
    await worker.run(handle_signals=True)
    await orchestrator.engine.database.engine.dispose()
    print("stopped", worker.stats.handed_over, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
