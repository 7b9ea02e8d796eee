"""``milo saga worker``: a process that works until it is told to stop."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from saga_shop import made
from suite_tools import HANG, environment

from milo_durable import OutboxDispatcher


@pytest.fixture
def worker(shop_anywhere):
    """A worker in the shop's folder."""
    started = []

    def start(*options):
        child = subprocess.Popen(
            [sys.executable, *shop_anywhere.command("worker", *options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=shop_anywhere.folder,
            env=environment(),
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def rest_of(child):
    """What it still prints and logs, and its exit code."""
    # Not by communicate(), which passes over what a reader of lines has read ahead.
    return child.stdout.read(), child.stderr.read(), child.wait(HANG)


async def two_hours_ago(orchestrator):
    """The id of an order whose second attempt has been due for an hour."""
    past = made(clock=lambda: datetime.now(UTC) - timedelta(hours=2))
    saga_id = await past.start("order", {"pay": "slowly"}, "o-1")
    await past.engine.database.engine.dispose()
    return saga_id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_step_in_flight(shop_anywhere, worker, number):
    """It says so in its log, leaves the saga to others between two steps, and exits with 0."""
    shop = shop_anywhere
    saga_id = shop.run(two_hours_ago)
    os.mkfifo(shop.folder / "go")
    child = worker()
    assert child.stdout.readline() == "charging\n"
    assert "working on order (version 1)" in child.stderr.readline()
    child.send_signal(number)
    assert "stopping, as soon as steps in flight have ended" in child.stderr.readline()
    (shop.folder / "go").write_text("")
    out, err, code = rest_of(child)
    assert (out, code) == ("", 0)
    (last,) = err.splitlines()
    assert last.endswith(
        "stopped; sagas taken: 1, events delivered: 0, messages published: 0, handed over: 1, "
        "failures: 0"
    )
    saga = shop.see(saga_id)
    assert (saga.status, set(saga.outputs)) == ("RUNNING", {"reserve", "charge"})
    assert shop.run(lambda orchestrator: orchestrator.run_due()) == 1
    assert shop.see(saga_id).status == "COMPLETED"


def test_it_publishes_the_outbox_if_it_is_told_how(shop_anywhere, worker):
    """With the function that ``--publish`` names; the message is noted as sent."""
    shop_anywhere.order("by letter")
    child = worker("--publish", "saga_shop:publish")
    assert child.stdout.readline() == "published bill 7\n"
    child.send_signal(signal.SIGTERM)
    out, err, code = rest_of(child)
    assert (out, code) == ("", 0)
    assert "messages published: 1, handed over: 0, failures: 0" in err.splitlines()[-1]
    assert shop_anywhere.run(unsent) == 0


async def unsent(orchestrator):
    """How many messages of the outbox may be published now."""
    return await OutboxDispatcher(orchestrator, lambda message: None).run_due()


def test_a_step_that_takes_longer_than_the_grace_is_not_waited_for(shop_anywhere, worker):
    """Not longer than ``--grace`` says; others take its saga over when the lease has run out."""
    shop = shop_anywhere
    saga_id = shop.run(two_hours_ago)
    os.mkfifo(shop.folder / "go")
    child = worker("--grace", "0.001")
    assert child.stdout.readline() == "charging\n"
    child.send_signal(signal.SIGTERM)
    for line in child.stderr:
        if "in flight are cancelled; others take over" in line:
            break
    (shop.folder / "go").write_text("")  # its thread ends with it
    out, err, code = rest_of(child)
    assert (out, code) == ("", 0)
    assert "handed over: 0" in err
    saga = shop.see(saga_id)
    assert (saga.status, set(saga.outputs)) == ("RUNNING", {"reserve"})
