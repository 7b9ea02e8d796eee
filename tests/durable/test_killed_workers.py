"""Three workers share the sagas, and one after the other is killed: nothing is lost or doubled.

``MILO_KILLS`` says how many are killed, by default 4, in the midst of a step; there are ten
sagas for each. From 20 on they are killed one a second, and steps take longer.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from killed_worker import STEPS
from sqlalchemy import func, insert, select
from worker_tools import Base, Inbox, Saga, an_hour_ago

KILLS = int(os.environ.get("MILO_KILLS", "4"))
SAGAS = 10 * KILLS
WORKERS = 3
PAUSE = 1 if KILLS >= 20 else 0  # seconds from one to the next, at least
BEGINNINGS = 20  # of steps, from one to the next, at least
LONGEST_STEP = 1.0 if PAUSE else 0.1
ENDED = ("COMPLETED", "COMPENSATED")
CHILD = Path(__file__).with_name("killed_worker.py")


class Workers:
    """Three processes, and one pipe in which they say what they do."""

    def __init__(self, database):
        self._command = [sys.executable, CHILD, database.url, database.schema or "-"]
        self._command.append(str(LONGEST_STEP))
        reading, self._writing = os.pipe()
        self._said = os.fdopen(reading)
        self._all = {}
        for _ in range(WORKERS):
            self._start()

    def _start(self):
        child = subprocess.Popen(self._command, stdout=self._writing)
        self._all[child.pid] = child

    def heard(self):
        """Who said what, when somebody does; also of one that has been killed since."""
        pid, word = self._said.readline().split()
        return int(pid), word

    def replace(self, pid):
        """Kill a worker and start another; False if it is gone already."""
        child = self._all.pop(pid, None)
        if child is None:
            return False
        end(child)
        self._start()
        return True

    def close(self):
        for child in self._all.values():
            end(child)
        self._said.close()
        os.close(self._writing)


def end(child):
    child.kill()
    child.wait()


@contextmanager
def three_workers(database):
    workers = Workers(database)
    try:
        yield workers
    finally:
        workers.close()


async def in_flight(database):
    """As many sagas as there are to be, of workers that died; some of their events are there."""
    await database.create(Base.metadata)
    sagas, events = [], []
    for number in range(SAGAS):
        data = {"fails": number % (STEPS + 2)}  # with some, no step does
        key, past = f"order {number}", an_hour_ago()
        sagas.append(
            {
                "id": uuid4(),
                "saga_name": "order",
                "aggregation_id": key,
                "context": {"initial_data": data, "outputs": {}},
                "deadline_at": past,
                "created_at": past,
                "updated_at": past,
            }
        )
        event = {"event_type": None, "correlation_id": None, "payload": {"paid": number}}
        events.append({"event_id": key, "aggregation_id": key, "event": event, "received_at": past})
    async with database.engine().begin() as connection:
        await connection.execute(insert(Saga), sagas)
        await connection.execute(insert(Inbox), events)


async def unfinished(database):
    """How many sagas have not ended."""
    async with database.engine().connect() as connection:
        count = select(func.count()).where(Saga.status.not_in([*ENDED, "FAILED"]))
        return (await connection.execute(count)).scalar_one()


def kill(workers):
    """Kill one after the other, each as it begins a step; how many steps were begun meanwhile."""
    begun = killed = since = 0
    last = time.monotonic()
    while killed < KILLS:
        pid, word = workers.heard()
        begun += word == "began"
        since += word == "began"
        is_time = since >= BEGINNINGS and time.monotonic() - last >= PAUSE
        if word == "began" and is_time and workers.replace(pid):
            killed, since, last = killed + 1, 0, time.monotonic()
    return begun


def finish(workers, database):
    """Wait until every saga has ended; how many steps were begun meanwhile."""
    begun = 0
    while database.run(unfinished, database):
        word = None
        while word != "done":
            _, word = workers.heard()
            begun += word == "began"
    return begun


def test_sagas_outlive_their_workers(database):
    """Each ends as it would have, each step is done and undone once, the newest first."""
    database.run(in_flight, database)
    began = time.monotonic()
    with three_workers(database) as workers:
        begun = kill(workers)
        while_killing = time.monotonic() - began
        begun += finish(workers, database)

    async def left():
        async with database.engine().connect() as connection:
            sagas = await connection.execute(select(Saga.__table__))
            return sagas.all(), (await connection.execute(select(Inbox.__table__))).all()

    sagas, events = database.run(left)
    entries = Counter(entry["status"] for saga in sagas for entry in saga.step_history)
    print(
        f"{database.kind}: {SAGAS} sagas, {KILLS} kills in {while_killing:.0f} s, all ended after "
        f"{time.monotonic() - began:.0f} s; steps begun {begun}, recorded {dict(entries)}; "
        f"{dict(Counter(saga.status for saga in sagas))}"
    )
    assert len(sagas) == SAGAS
    for saga in sagas:
        look_at(saga)
    assert all(event.applied_at is not None for event in events)


def look_at(saga):
    """It has ended as it had to, and nothing of it was recorded twice."""
    fails = saga.context["initial_data"]["fails"]
    done = [f"step_{index}" for index in range(min(fails, STEPS))]
    ended = "COMPLETED" if fails >= STEPS else "COMPENSATED" if done else "FAILED"
    assert (saga.status, saga.deadline_at, saga.awaiting) == (ended, None, None)
    successes = [
        (entry["phase"], entry["step_id"])
        for entry in saga.step_history
        if entry["status"] == "SUCCESS"
    ]
    forward = [("execute", step) for step in done]
    back = [("compensate", step) for step in reversed(done)] if ended == "COMPENSATED" else []
    assert successes == forward + back
    assert [event["event_id"] for event in saga.context["events"]] == [saga.aggregation_id]
