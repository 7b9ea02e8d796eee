"""A worker that is a process of its own is stopped by signals, and survives being killed."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from worker_tools import Gate, abandon, opened, orchestrator_on, two_steps, working

from milo_durable import SagaStatus

CHILD = Path(__file__).with_name("worker_process.py")


def start_worker(database):
    """A worker in another process, once it is in the first step of the saga."""
    command = [sys.executable, str(CHILD), database.url, database.schema or "-"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, text=True, **pipes)
    said = child.stdout.readline()
    if said != "in the step\n":
        child.kill()
        pytest.fail(f"{said}{child.communicate()[1]}")
    return child


async def an_abandoned_order(database):
    await opened(database)
    return await abandon(database, "order")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_worker_after_its_step(database, number):
    """It ends the step it is in, hands the saga over, and exits with 0; another finishes it."""
    saga_id = database.run(an_abandoned_order, database)
    child = start_worker(database)
    child.send_signal(number)
    said, errors = child.communicate(timeout=60)
    assert (said, errors, child.returncode) == ("stopped 1\n", "", 0)

    async def finished():
        first, last = Gate(), Gate()
        orchestrator = await opened(database, order=two_steps(first, last))
        async with working(orchestrator):
            await last.entered.wait()
        return first.runs, (await orchestrator.get_snapshot(saga_id)).status

    assert database.run(finished) == (0, SagaStatus.COMPLETED)


def test_a_killed_worker_is_replaced_when_its_lease_is_over(database):
    """The step in flight runs again elsewhere, after the lease and not before."""
    saga_id = database.run(an_abandoned_order, database)
    child = start_worker(database)
    child.kill()
    child.communicate(timeout=60)

    async def finished():
        first = Gate()
        definition = two_steps(first, Gate())
        orchestrator = await opened(database, order=definition)
        early = await orchestrator.run_due()
        deadline = (await orchestrator.get_snapshot(saga_id)).deadline_at
        assert deadline > datetime.now(UTC)
        later = orchestrator_on(database.engine(), clock=lambda: deadline)
        later.register("order", definition)
        late = await later.run_due()
        return early, late, first.runs, (await later.get_snapshot(saga_id)).status

    assert database.run(finished) == (0, 1, 1, SagaStatus.COMPLETED)
