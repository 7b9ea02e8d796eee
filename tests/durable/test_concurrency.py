"""Several drive sagas at the same time, take long, are stopped, and break."""

import asyncio
import logging
import threading
from datetime import timedelta

import pytest
from saga_tools import DAY, Plain, Step, Word, chain, failing, on, refuse, wait_once
from sqlalchemy import event

from milo_durable import ActiveSagaAlreadyExistsError, BaseStep, FixedRetry, SagaStatus
from milo_durable.engine import utc_now

SHORT = timedelta(milliseconds=60)
RETRY, RETRIES = ({"retry_policy": FixedRetry(times, DAY)} for times in (1, 3))


class Gate:
    """A behaviour that says when it is inside, and stays until it is let go."""

    def __init__(self):
        self.inside, self.open = asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def __call__(self, attempt, inp):
        self.inside.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def test_one_of_eight_starts_is_the_saga(database):
    """Of eight starts for one aggregation at the same time one runs; seven are told so."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        definition = chain(Step("a", journal, gate))
        two = [bench.orchestrator, bench.another(engine=database.engine())[0]]
        for each in two:
            each.register("saga", definition)
        starts = [
            asyncio.ensure_future(two[n % 2].start("saga", {"word": "go"}, "key")) for n in range(8)
        ]
        await gate.inside.wait()
        refused, running = set(), set(starts)
        while len(running) > 1:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        gate.open.set()
        (saga_id,) = await asyncio.gather(*running)
        assert {type(each.exception()) for each in refused} == {ActiveSagaAlreadyExistsError}
        assert len(refused) == 7 and journal == ["do a"]
        assert [row.id for row in await bench.sagas()] == [saga_id]
        assert await two[0].start("saga", {"word": "go"}, "key") != saga_id

    on(database, scenario)


def test_many_start_at_once(database):
    """Sagas of different aggregations do not stand in each other's way."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Plain(), Plain()))
        ids = await asyncio.gather(*[bench.begin(key=str(n)) for n in range(12)])
        for saga_id in ids:
            assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


def test_several_workers_run_a_due_saga_once(database):
    """What is due is claimed by one of the workers that ask at the same time."""
    journal = []

    async def scenario(bench):
        options = {"retry_policy": FixedRetry(1, DAY)}
        bench.orchestrator.register("saga", chain(Step("a", journal, refuse), step0=options))
        ids = [await bench.begin(key=str(n)) for n in range(6)]
        journal.clear()
        bench.clock.forward()
        workers = [bench.another(engine=database.engine())[0] for _ in range(4)]
        for each in workers:
            each.register("saga", chain(Step("a", journal)))
        done = await asyncio.gather(*[each.run_due() for each in workers])
        assert sum(done) == 6 and journal == ["do a"] * 6
        for saga_id in ids:
            assert await bench.status(saga_id) == "COMPLETED"

    on(database, scenario)


@pytest.mark.parametrize("limit", [0, 1, 2, 5])
def test_run_due_does_no_more_than_its_limit(database, limit):
    """run_due takes up to ``limit`` sagas, whatever they wait for, and says how many."""
    journal = []

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", journal, refuse), step0=RETRIES))
        for n in range(4):
            await bench.begin(key=str(n))
        bench.clock.forward()
        journal.clear()
        assert await bench.orchestrator.run_due(limit) == len(journal) == min(limit, 4)

    on(database, scenario)


def test_a_step_longer_than_the_lease_keeps_its_saga(database):
    """A lease is put off while a step runs, so nobody else takes its saga."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        holder, _ = bench.another(clock=utc_now, lease=SHORT)
        holder.register("saga", chain(Step("a", journal, gate)))
        running = asyncio.ensure_future(holder.start("saga", {"word": "go"}, "key"))
        await gate.inside.wait()
        (first,) = await bench.sagas()
        renewed = first
        while renewed.deadline_at <= first.deadline_at + 3 * SHORT:
            (renewed,) = await bench.sagas()
        other, _ = bench.another(clock=utc_now)
        other.register("saga", chain(Step("b", journal)))
        assert await other.run_due() == 0
        gate.open.set()
        assert await bench.status(await running) == "COMPLETED"
        assert journal == ["do a"]

    on(database, scenario)


def test_a_lost_lease_cancels_the_step_and_changes_nothing(database, caplog):
    """A worker whose saga was taken over cancels its step, and what comes of it is dropped."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        holder, _ = bench.another(lease=SHORT)
        holder.register("saga", chain(Step("a", journal, gate)))
        running = asyncio.ensure_future(holder.start("saga", {"word": "go"}, "key"))
        await gate.inside.wait()
        other, _ = bench.another()
        other.register("saga", chain(Step("b", journal, wait_once)))
        bench.clock.forward()
        (row,) = await bench.sagas()
        await bench.force(row.id, deadline_at=row.created_at)  # as if no renewal had come
        claimed = await other.run_due()
        while not claimed:  # a renewal came in between
            await bench.force(row.id, deadline_at=row.created_at)
            claimed = await other.run_due()
        after = await bench.see(row.id)
        assert await running == row.id
        assert gate.cancelled and journal == ["do a", "do b"]
        assert await bench.see(row.id) == after and after.status == "SUSPENDED"
        assert "moved on meanwhile" in caplog.text

    caplog.set_level(logging.WARNING)
    on(database, scenario)


def refusing_renewals(bench, times):
    """Have so many renewals fail, as when the database is away; what is set by the next."""
    left, renewed = [None] * times, asyncio.Event()

    def look(connection, cursor, statement, *rest):
        if not statement.startswith("UPDATE saga SET deadline_at"):
            return
        if left:
            left.pop()
            raise ConnectionResetError("cut off")
        renewed.set()

    event.listen(bench.engine.sync_engine, "before_cursor_execute", look)
    return renewed


def test_a_renewal_that_fails_is_tried_again(database, caplog):
    """A database that is away for less than a lease costs a running step nothing."""
    journal = []

    async def scenario(bench):
        renewed = refusing_renewals(bench, times=2)

        async def until_renewed(attempt, inp):
            await renewed.wait()

        holder, _ = bench.another(clock=utc_now, lease=timedelta(seconds=2))
        holder.register("saga", chain(Step("a", journal, until_renewed)))
        saga_id = await holder.start("saga", {"word": "go"}, "key")
        assert await bench.status(saga_id) == "COMPLETED" and journal == ["do a"]
        assert caplog.text.count("could not be renewed") == 2

    caplog.set_level(logging.WARNING)
    on(database, scenario)


@pytest.mark.parametrize("how", ["fails", "hangs"])
def test_a_lease_that_cannot_be_renewed_ends(database, how, monkeypatch):
    """A step is cancelled when its lease is over, for others take its saga then."""
    monkeypatch.setattr("milo_durable._work.GRACE", timedelta(0))

    async def scenario(bench):
        gate = Gate()
        holder, _ = bench.another(lease=10 * SHORT)
        if how == "fails":
            refusing_renewals(bench, times=1000)
        else:
            holder.engine.table.renew = lambda *_: asyncio.Event().wait()
        holder.register("saga", chain(Step("a", [], gate)))
        with pytest.raises(TimeoutError, match="did not renew a lease"):
            await holder.start("saga", {"word": "go"}, "key")
        assert gate.cancelled
        (row,) = await bench.sagas()
        assert row.status == "RUNNING" and row.step_history == []

    on(database, scenario)


def test_a_claimed_saga_is_nobody_elses(database):
    """A claim puts the deadline off: no other worker takes what the first still drives."""
    journal = []

    async def scenario(bench):
        forward, back, errors = Gate(), Gate(), [RuntimeError("cannot be undone yet")]

        async def behave(attempt, inp):
            if attempt == 2:
                await forward(attempt, inp)
            raise RuntimeError("refused")

        async def undo():
            if errors:
                raise errors.pop()
            await back(2, None)

        steps = Step("a", journal, undo=undo), Step("b", journal, behave)
        saga_id = await bench.begin(chain(*steps, step0=RETRY, step1=RETRY))
        other, _ = bench.another(engine=database.engine())
        other.register("saga", chain(Step("a", journal), Step("b", journal)))
        for gate in (forward, back):
            bench.clock.forward()
            driving = asyncio.ensure_future(bench.orchestrator.run_due())
            await gate.inside.wait()
            assert await other.run_due() == 0
            gate.open.set()
            assert await driving == 1
        assert await bench.status(saga_id) == "COMPENSATED"
        assert journal == ["do a", "do b", "do b", "undo a go go>a", "undo a go go>a"]

    on(database, scenario)


def test_a_stopped_driver_leaves_a_saga_that_is_recovered(database):
    """A driver that is cancelled cancels its step; the saga is taken up when the lease is over."""
    journal = []

    async def scenario(bench):
        gate = Gate()
        bench.orchestrator.register("saga", chain(Plain(), Step("a", journal, gate)))
        running = asyncio.ensure_future(bench.begin())
        await gate.inside.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert gate.cancelled
        (row,) = await bench.sagas()
        assert row.status == "RUNNING" and row.deadline_at > bench.clock.now
        assert await bench.orchestrator.run_due() == 0
        gate.open.set()
        assert await bench.later() == 1
        assert await bench.status(row.id) == "COMPLETED"

    on(database, scenario)


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError, TimeoutError, StopIteration, StopAsyncIteration]
)
@pytest.mark.parametrize("is_async", [True, False])
def test_a_step_that_raises_what_control_flow_is_made_of(database, error, is_async):
    """A step that raises such an error has failed like any other, and is tried again."""

    class Async(BaseStep[Word, Word]):
        async def execute(self, inp: Word) -> Word:
            raise error

    class Blocking(BaseStep[Word, Word]):
        def execute(self, inp: Word) -> Word:
            raise error

    async def scenario(bench):
        step = Async() if is_async else Blocking()
        saga = await bench.see(await bench.begin(chain(step, step0=RETRIES)))
        assert saga.status == "SUSPENDED" and saga.retry_count == 1
        assert saga.step_history[-1]["status"] == "ERROR"

    on(database, scenario)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_step_that_stops_the_process(database, error):
    """KeyboardInterrupt goes through to the loop, and the saga is recovered by its deadline."""

    def behave(attempt, inp):
        if attempt == 1:
            raise error

    definition = chain(Step("a", [], behave))

    async def interrupted(bench):
        await bench.begin(definition)

    async def recovered(bench):
        bench.orchestrator.register("saga", definition)
        assert await bench.later() == 1
        (row,) = await bench.sagas()
        assert row.status == "COMPLETED"

    with pytest.raises(error):
        on(database, interrupted)
    on(database, recovered)


class Blocking(BaseStep[Word, Word]):
    """A step of plain functions."""

    def __init__(self, threads):
        self.threads = threads

    def execute(self, inp: Word) -> Word:
        self.threads.append(threading.get_ident())
        return Word(word="blocking")

    def compensate(self, inp: Word, out: Word) -> None:
        self.threads.append((threading.get_ident(), inp.word, out.word))


def test_plain_steps(database):
    """A step may be plain functions; they run on other threads, forward and back."""

    async def scenario(bench):
        threads = []
        definition = chain(Blocking(threads), Step("b", [], refuse))
        assert await bench.status(await bench.begin(definition)) == "COMPENSATED"
        here = threading.get_ident()
        assert threads[0] != here and threads[1][0] != here
        assert threads[1][1:] == ("go", "blocking")

    on(database, scenario)


def test_a_step_past_its_timeout(database):
    """A step that takes too long is cancelled, has failed with TIMEOUT and is tried again."""

    async def scenario(bench):
        gate = Gate()
        options = {**RETRIES, "timeout": timedelta(milliseconds=20)}
        saga = await bench.see(await bench.begin(chain(Step("a", [], gate), step0=options)))
        assert saga.status == "SUSPENDED" and gate.cancelled
        assert saga.step_history[-1]["status"] == "TIMEOUT"
        gate.open.set()
        assert await bench.later() == 1
        assert await bench.status(saga.id) == "COMPLETED"

    on(database, scenario)


def test_a_compensation_past_its_timeout(database):
    """The timeout of a step holds for undoing it as well."""

    async def scenario(bench):
        gate = Gate()
        options = {**RETRIES, "timeout": timedelta(milliseconds=50)}
        first = Step("a", [], undo=lambda: gate(1, None))
        saga_id = await bench.begin(chain(first, Step("b", [], refuse), step0=options))
        saga = await bench.see(saga_id)
        assert saga.status == "COMPENSATING_SUSPENDED"
        assert saga.step_history[-1]["status"] == "TIMEOUT"
        gate.open.set()
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPENSATED"

    on(database, scenario)


@pytest.mark.parametrize("status", [SagaStatus.RUNNING, SagaStatus.SUSPENDED])
def test_a_broken_saga_fails_alone(database, caplog, status):
    """A saga whose current step is gone is logged, and all others that are due go on."""

    async def scenario(bench):
        step = Step("a", [], failing(2))
        bench.orchestrator.register("saga", chain(step, step0=RETRIES))
        broken, sound = await bench.begin(key="broken"), await bench.begin(key="sound")
        values = {"current_step_index": 7, "status": str(status)}
        if status == SagaStatus.SUSPENDED:
            values["awaiting"] = {"event_types": None, "correlation_id": None}
        await bench.force(broken, **values)
        await bench.later()
        assert await bench.status(sound) == "COMPLETED"
        assert str(broken) in caplog.text

    on(database, scenario)


@pytest.mark.parametrize("knows_others", [True, False])
def test_unknown_sagas_are_left_alone(database, knows_others):
    """run_due touches no saga whose name or version is not registered."""

    async def scenario(bench):
        saga_id = await bench.begin(chain(Step("a", [], refuse), step0=RETRIES))
        before = await bench.see(saga_id)
        stranger, _ = bench.another()
        if knows_others:
            stranger.register("saga", chain(Plain(), version=2))
            stranger.register("other", chain(Plain()))
        bench.clock.forward()
        assert await stranger.run_due() == 0
        assert await bench.see(saga_id) == before

    on(database, scenario)


def test_a_saga_goes_on_with_the_version_it_started_with(database):
    """A new version is for new sagas; one that has started keeps its own, also after a restart."""
    journal = []

    async def scenario(bench):
        old = chain(Step("old", journal, failing(1)), step0=RETRIES)
        first = await bench.begin(old, key="1")
        bench.orchestrator.register("saga", chain(Step("new", journal), version=2))
        await bench.begin(key="2")
        restarted, _ = bench.another()
        for definition in (chain(Step("new", journal), version=2), old):
            restarted.register("saga", definition)
        bench.clock.forward()
        assert await restarted.run_due() == 1
        assert journal == ["do old", "do new", "do old"]
        assert (await bench.see(first)).definition_version == 1
        assert await bench.status(first) == "COMPLETED"

    on(database, scenario)
