"""A process dies at every crash point, by SIGKILL, and what it leaves behind is taken up again.

Nothing is lost, and nothing whose success was recorded is done twice. The children of all cases
run two at a time, ahead of the tests that look at what each of them left.
"""

import json
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue

import pytest
from crash_scenarios import SCENARIOS, Bench, InboxMessage, Journal, create_tables, played
from databases import postgres_schema, sqlite_in

from milo_durable import SagaStatus
from milo_durable._crash import COMMITS, CRASH_POINTS

CHILDREN = 2  # at a time
SECONDS = 60  # only a hang takes longer
LATER = timedelta(days=100)  # later than any clock of the one that died
ENDED = (SagaStatus.COMPLETED, SagaStatus.FAILED, SagaStatus.COMPENSATED)

SCENARIO_OF = {
    **dict.fromkeys(("start", "execute", "suspend", "retry", "claim"), "bought"),
    **dict.fromkeys(("await_event", "notify"), "bought"),
    **dict.fromkeys(("fail", "compensate", "compensate.retry"), "refused"),
    **dict.fromkeys(("record", "record_undo"), "kept"),
    "compensate.fail": "stuck",
    "halt": "halted",
    "renew": "slow",
    **dict.fromkeys(("branch", "branch.renew", "branch.claim"), "beside"),
    **dict.fromkeys(("inbox.store", "inbox.apply", "inbox.purge"), "told_twice"),
    **dict.fromkeys(("outbox.claim", "outbox.sent", "outbox.retry", "hand_over"), "asked"),
    "outbox.purge": "asked",
    **dict.fromkeys(("expire", "admin.compensate"), "unpaid"),
    "admin.expire": "expired",
    "resume": "resumed",
    **dict.fromkeys(("admin.retry", "admin.skip", "admin.abort"), "operated"),
}
OTHERS = [
    ("bought", "execute.before:4"),  # the last step
    ("bought", "execute.after:4"),
    ("bought", "claim.after:2"),  # with nothing to claim
    ("refused", "compensate.before:3"),  # the last to be undone
    ("refused", "compensate.after:3"),
    ("refused", "claim.after"),  # on the way back
    ("beside", "branch.before:2"),
    ("beside", "branch.after:2"),
    ("beside", "branch.before:4"),  # the last
    ("beside", "branch.after:4"),
    ("kept", "record.before:2"),
    ("kept", "record.after:2"),
    ("kept", "record_undo.before:2"),
    ("kept", "record_undo.after:2"),
    ("kept", "retry.before"),
    ("kept", "compensate.retry.after"),
    ("scheduled", "start.after"),
    ("scheduled", "claim.before"),
    ("scheduled", "claim.after"),
    ("missed", "expire.before"),
    ("missed", "expire.after"),
    ("limited", "start.before"),
    ("limited", "start.after"),
    ("limited", "inbox.apply.before"),
    ("limited", "inbox.apply.after"),
    ("limited", "expire.before"),
    ("limited", "expire.after"),
    ("limited", "claim.before"),
    ("limited", "claim.after"),
    ("limited", "claim.before:2"),  # on the way back
    ("limited", "claim.after:2"),
    ("resumed", "resume.after:2"),  # on the way back
    ("told_twice", "inbox.store.after:2"),
    ("told_twice", "inbox.apply.before:2"),
    ("told_twice", "inbox.apply.after:2"),
]
CASES = [
    *((SCENARIO_OF[point.rpartition(".")[0]], point) for point in CRASH_POINTS),
    *OTHERS,
]


class Nursery:
    """Processes that fork children for cases, one at a time each; see ``crash_nursery.py``."""

    def __init__(self, size):
        self._free = SimpleQueue()
        script = Path(__file__).with_name("crash_nursery.py")
        for _ in range(size):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._free.put(subprocess.Popen([sys.executable, script], text=True, **pipes))
        self._size = size

    def close(self):
        for _ in range(self._size):
            self._free.get().communicate(timeout=SECONDS)

    def exit_code(self, *case):
        """How the child of ``case`` ended, once it has."""
        process = self._free.get()
        try:
            print(json.dumps(case), file=process.stdin, flush=True)
            return int(process.stdout.readline())
        finally:
            self._free.put(process)


class Death:
    """What the child of one case did and left."""

    def __init__(self, nursery, database, folder, case):
        self.database, self.journal = database, Journal(folder / "journal")
        self.scenario, self.point = case
        database.run(create_tables, database)
        place = database.url, database.schema, self.scenario, str(folder), self.point
        self.exit_code = nursery.exit_code(*place)
        errors = folder / "errors"
        self.errors = errors.read_text() if errors.exists() else ""
        self.done = self.journal.lines()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def death_of(request, tmp_path_factory):
    """A function from a case to the death of its child; children are started ahead."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgres_server")
    folder = tmp_path_factory.mktemp(request.param)

    with ExitStack() as stack:

        def die(number, case):
            own = folder / str(number)
            own.mkdir()
            if server is None:
                database = sqlite_in(own)
            else:
                database = stack.enter_context(postgres_schema(server))
            return Death(nursery, database, own, case)

        nursery = Nursery(CHILDREN)
        stack.callback(nursery.close)
        pool = ThreadPoolExecutor(CHILDREN)
        stack.callback(pool.shutdown, cancel_futures=True)
        deaths = {}
        for item in request.session.items:
            call = getattr(item, "callspec", None)
            if call is None or call.params.get("death_of") != request.param:
                continue
            case = call.params["case"]
            deaths[case] = pool.submit(die, len(deaths), case)
        yield lambda case: deaths[case].result()


def without_repeats(lines):
    return [line for line, _ in groupby(lines)]


def recorded(history):
    """What succeeded according to ``history``, as lines of the journal."""
    words = {"execute": "do", "compensate": "undo"}
    return [
        f"{words[entry['phase']]} {entry['step_id']}"
        for entry in history
        if entry["status"] == "SUCCESS" and not entry["skipped"]
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_saga_survives_the_death_of_its_process(death_of, case):
    death = death_of(case)
    assert death.exit_code == -signal.SIGKILL, death.errors
    name, scenario = death.scenario, SCENARIOS[death.scenario]
    database, journal = death.database, death.journal

    left = database.run(lambda: Bench(database, journal, name).rows())
    if death.point == "start.before":
        assert left == [] and death.done == []

    async def take_up():
        bench = await played(database, journal, name, ahead=LATER)
        return await bench.rows(), await bench.rows(InboxMessage), await bench.kept()

    rows, messages, kept = database.run(take_up)

    # It has ended as it would have, and nobody holds it.
    (saga,) = rows
    assert (saga.status, saga.deadline_at, saga.awaiting) == (scenario.ends, None, None)
    assert saga.status in ENDED

    # All was done in its order; at most what was in flight was done once more.
    done, planned = journal.lines(), list(scenario.journal)
    if not scenario.parallel:
        assert without_repeats(done) == without_repeats(planned)
    more = Counter(done) - Counter(planned)
    assert Counter(planned) - Counter(done) == Counter()
    assert more.total() <= (len(set(planned)) if scenario.parallel else 1)

    # What was recorded when it died was not done again.
    for line in recorded(left[0].step_history) if left else ():
        before, now = death.done.count(line), done.count(line)
        assert before == now, f"{line} was recorded, and done again"
    succeeded = recorded(saga.step_history)
    assert len(succeeded) == len(set(succeeded))

    # What its steps recorded in a table stands there once.
    assert kept == list(scenario.kept)

    # It was undone in reverse.
    undone = [line.split()[1] for line in succeeded if line.startswith("undo ")]
    executed = [line.split()[1] for line in succeeded if line.startswith("do ")]
    assert undone == [step for step in reversed(executed) if step in undone]

    # Each event was applied once.
    assert [each["event_id"] for each in saga.context.get("events", ())] == list(scenario.events)
    assert all(message.applied_at is not None for message in messages)


def test_every_commit_has_a_case():
    assert set(SCENARIO_OF) == set(COMMITS)
