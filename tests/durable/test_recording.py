"""What a step writes to the application's tables is stored with its result, or not at all."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from saga_tools import Base, Plain, Step, Word, chain, failing, on, refuse, wait_once
from sqlalchemy import ForeignKey, event, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapped, mapped_column

from milo_durable import FixedRetry, SagaBuilder, SagaDefinitionError

DAY = timedelta(days=1)
AGAIN = {"retry_policy": FixedRetry(1, DAY)}


class Line(Base):
    """A table of the application's, where each word stands once."""

    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(unique=True)


class Remark(Base):
    """Another, which refers to it; that is looked at when the transaction is committed."""

    __tablename__ = "remark"
    id: Mapped[int] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(
        ForeignKey("line.id", deferrable=True, initially="DEFERRED"), index=True
    )


class Writer(Step):
    """A step that adds a line for what it returned, and then does as it is told."""

    def __init__(self, name, journal, then=None, **options):
        super().__init__(name, journal, **options)
        self.then, self.recorded, self.sessions = then, 0, []

    async def record(self, session, inp, out):
        self.recorded += 1
        self.sessions.append(session)
        session.add(Line(word=out.word))
        if self.then is not None:
            await self.then(session, self.recorded)


class Undoer(Writer):
    """And takes it back."""

    async def record_undo(self, session, inp, out):
        line = (await session.execute(select(Line).where(Line.word == out.word))).scalar_one()
        line.word = f"not {out.word}"


async def lines(bench):
    """The words that are stored, by age."""
    async with bench.sessions() as session:
        return list((await session.execute(select(Line.word).order_by(Line.id))).scalars())


def test_what_is_recorded_stands_beside_the_result(database):
    """Each step's line is there when the next step runs, and its session is the application's."""
    seen = []

    class Session(AsyncSession):
        pass

    async def scenario(bench):
        async def look(attempt, inp):
            seen.append(await lines(bench))

        step = Writer("a", [])
        bench.sessions = async_sessionmaker(bench.engine, class_=Session)
        bench.orchestrator, _ = bench.another()
        saga_id = await bench.begin(chain(step, Step("b", [], look), Writer("c", [])))
        assert await bench.status(saga_id) == "COMPLETED"
        assert seen == [["go>a"]]
        assert await lines(bench) == ["go>a", "go>a>b>c"]
        assert type(step.sessions[0]) is Session

    on(database, scenario)


def test_what_was_recorded_is_taken_back(database):
    """record_undo writes as the step is undone, also where there is no compensate to call."""

    class Marker(Plain):
        async def record(self, session, inp, out):
            session.add(Line(word="marked"))

        async def record_undo(self, session, inp, out):
            session.add(Line(word=f"unmarked {inp.word}, {out.word}"))

    async def scenario(bench):
        steps = Marker(), Undoer("a", []), Writer("b", []), Step("c", [], refuse)
        saga_id = await bench.begin(chain(*steps))
        saga = await bench.see(saga_id)
        assert saga.status == "COMPENSATED"
        undone = [each["step_id"] for each in saga.step_history if each["phase"] == "compensate"]
        assert undone == ["step_2", "step_1", "step_0"]
        assert await lines(bench) == [
            *("marked", "not go>plain>a", "go>plain>a>b"),
            "unmarked go, go>plain",
        ]

    on(database, scenario)


def test_an_error_is_a_failure_of_the_step(database):
    """When record raises, none of it is stored, and the step is tried again under its policy."""
    journal = []

    async def fail_first(session, times):
        await session.flush()
        failing(1)(times, None)

    async def scenario(bench):
        saga_id = await bench.begin(chain(Writer("a", journal, fail_first), step0=AGAIN))
        saga = await bench.see(saga_id)
        assert (saga.status, saga.error) == ("SUSPENDED", "RuntimeError: failure 1")
        (entry,) = saga.step_history
        assert (entry["status"], entry["input"], entry["output"]) == ("ERROR", {"word": "go"}, None)
        assert saga.outputs == {} and await lines(bench) == []
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"
        assert journal == ["do a", "do a"] and await lines(bench) == ["go>a"]

    on(database, scenario)


def test_an_error_of_taking_back_is_one_of_undoing(database):
    """When record_undo raises, none of it is stored, and the step is undone again."""

    class Twice(Undoer):
        undone = 0

        async def record_undo(self, session, inp, out):
            await super().record_undo(session, inp, out)
            self.undone += 1
            failing(1)(self.undone, inp)

    async def scenario(bench):
        saga_id = await bench.begin(chain(Twice("a", []), Step("b", [], refuse), step0=AGAIN))
        assert await bench.status(saga_id) == "COMPENSATING_SUSPENDED"
        assert await lines(bench) == ["go>a"]
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPENSATED"
        assert await lines(bench) == ["not go>a"]

    on(database, scenario)


async def write_twice(session, times):
    session.add(Line(word="go>a"))


async def write_an_orphan(session, times):
    session.add(Remark(line=1000))


def look_at_foreign_keys(connection, _record):
    """What SQLite does only when it is told to."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


@pytest.mark.parametrize("then", [write_twice, write_an_orphan])
def test_what_the_database_refuses_is_a_failure_of_the_step(database, then):
    """A constraint that does not hold fails the step, also one that the commit looks at."""

    async def scenario(bench):
        if database.kind == "sqlite":
            event.listen(bench.engine.sync_engine, "connect", look_at_foreign_keys)
        saga = await bench.see(await bench.begin(chain(Writer("a", [], then))))
        assert (saga.status, saga.error[:14]) == ("FAILED", "IntegrityError")
        assert await lines(bench) == []

    on(database, scenario)


async def commit(session, times):
    await session.commit()


async def begin(session, times):
    async with session.begin():
        session.add(Line(word="within"))


async def roll_back(session, times):
    await session.rollback()


async def roll_back_and_write(session, times):
    await session.rollback()
    session.add(Line(word="later"))


async def swallow(session, times):
    with contextlib.suppress(IntegrityError):
        await write_twice(session, times)
        await session.flush()


@pytest.mark.parametrize(
    ("then", "told"),
    [
        (commit, "must not commit"),
        (begin, "already begun"),
        (roll_back, "rolled back"),
        (roll_back_and_write, "rolled back"),
        (swallow, "begin_nested"),
    ],
)
def test_the_transaction_is_not_the_steps(database, then, told):
    """A step that commits, rolls back or swallows what broke it fails, and its error says so."""

    async def scenario(bench):
        saga = await bench.see(await bench.begin(chain(Writer("a", [], then))))
        assert saga.status == "FAILED" and told in saga.error
        assert await lines(bench) == []

    on(database, scenario)


def test_a_statement_that_failed_silently(database):
    """Where a failed statement has spoilt the transaction, the step has failed."""

    async def spoil(session, times):
        await session.flush()
        with contextlib.suppress(DBAPIError):
            await session.execute(insert(Line).values(word="go>a"))

    async def scenario(bench):
        saga = await bench.see(await bench.begin(chain(Writer("a", [], spoil))))
        if database.kind == "sqlite":  # there it has not
            assert (saga.status, await lines(bench)) == ("COMPLETED", ["go>a"])
        else:
            assert saga.status == "FAILED" and "aborted" in saga.error
            assert await lines(bench) == []

    on(database, scenario)


def test_what_may_fail_within_a_savepoint(database):
    """A step may try something in begin_nested, and go on without it."""

    async def attempt(session, times):
        await session.flush()
        with contextlib.suppress(IntegrityError):
            async with session.begin_nested():
                session.add(Line(word="go>a"))
        async with session.begin_nested():
            session.add(Line(word="more"))

    async def scenario(bench):
        saga_id = await bench.begin(chain(Writer("a", [], attempt)))
        assert await bench.status(saga_id) == "COMPLETED"
        assert await lines(bench) == ["go>a", "more"]

    on(database, scenario)


def test_who_has_lost_the_saga_records_nothing(database):
    """When a saga was moved on while its step ran, record is not called."""

    async def scenario(bench):
        inside, may_end = asyncio.Event(), asyncio.Event()

        async def behave(attempt, inp):
            inside.set()
            await may_end.wait()

        step = Writer("a", [], behave=behave)
        starting = asyncio.ensure_future(bench.begin(chain(step)))
        await inside.wait()
        (row,) = await bench.sagas()
        await bench.admin.abort(row.id)
        may_end.set()
        await starting
        assert (await lines(bench), step.recorded) == ([], 0)

    on(database, scenario)


def test_recording_has_the_steps_time(database):
    """A record that takes longer than the step may has failed, and nothing of it is stored."""

    async def hang(session, times):
        await asyncio.Event().wait()

    async def scenario(bench):
        options = {"timeout": timedelta(milliseconds=50)}
        saga = await bench.see(await bench.begin(chain(Writer("a", [], hang), step0=options)))
        assert saga.status == "FAILED" and "within 0.05 s" in saga.error
        assert saga.step_history[0]["status"] == "TIMEOUT"
        assert await lines(bench) == []

    on(database, scenario)


def test_a_long_recording_keeps_the_saga(database):
    """A record that takes longer than a lease waits for no lock of its own."""

    async def scenario(bench):
        renewals = asyncio.Event()

        async def linger(session, times):
            asyncio.get_running_loop().call_later(0.3, renewals.set)
            await renewals.wait()

        orchestrator, _ = bench.another(lease=timedelta(milliseconds=100))
        bench.orchestrator = orchestrator
        saga_id = await bench.begin(chain(Writer("a", [], linger)))
        assert await bench.status(saga_id) == "COMPLETED"
        assert await lines(bench) == ["go>a"]

    on(database, scenario)


def test_what_records_nothing(database):
    """A wait and an operator's skip call no record."""

    async def scenario(bench):
        step = Writer("a", [], behave=wait_once)
        saga_id = await bench.begin(chain(step))
        await bench.admin.skip_step(saga_id, {"word": "given"})
        assert await bench.status(saga_id) == "COMPLETED"
        assert (await lines(bench), step.recorded) == ([], 0)

    on(database, scenario)


@pytest.mark.parametrize("name", ["record", "record_undo"])
def test_a_plain_function_cannot_record(name):
    """record and record_undo are async; a plain one is refused when the step is added."""
    kind = type("Recorder", (Plain,), {name: lambda self, session, inp, out: None})
    with pytest.raises(SagaDefinitionError, match=f"async def {name}"):
        chain(kind())


def test_a_database_that_goes_away_is_not_the_steps_fault(database):
    """When the saga itself cannot be moved, the step has not failed; the saga is taken up again."""

    async def scenario(bench):
        step = Writer("a", [])
        table = bench.orchestrator.engine.table
        move = table.move

        async def cut(connection, saga, transition):
            table.move = move
            raise DBAPIError("UPDATE", {}, OSError("cut"))

        table.move = cut
        with pytest.raises(DBAPIError):
            await bench.begin(chain(step))
        (row,) = await bench.sagas()
        assert (row.status, row.step_history, step.recorded) == ("RUNNING", [], 0)
        assert await bench.later() == 1
        assert await bench.status(row.id) == "COMPLETED" and await lines(bench) == ["go>a"]

    on(database, scenario)


def test_several_record_at_the_same_time(database):
    """Each saga of many records its own, once."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Writer("a", []), Writer("b", [])))
        await asyncio.gather(*[bench.begin(key=str(n), word=str(n)) for n in range(6)])
        expected = {f"{n}>a" for n in range(6)} | {f"{n}>a>b" for n in range(6)}
        assert set(await lines(bench)) == expected

    on(database, scenario)


def test_steps_beside_each_other_record_each_once(database):
    """Also one whose first recording fails, and whose branch is tried again by itself."""

    async def scenario(bench):
        async def fails_once(session, recorded):
            if recorded == 1:
                raise RuntimeError("not yet")

        builder, journal = SagaBuilder(), []
        steps = Writer("a", journal), Writer("b", journal, fails_once), Writer("c", journal)
        for step in steps:
            builder.add_step(step, lambda ctx: Word(word="go"), **AGAIN)
        saga_id = await bench.begin(builder.build())
        assert sorted(await lines(bench)) == ["go>a", "go>c"]
        assert await bench.later() == 1
        assert await bench.status(saga_id) == "COMPLETED"
        assert sorted(await lines(bench)) == ["go>a", "go>b", "go>c"]
        assert sorted(journal) == ["do a", "do b", "do b", "do c"]

    on(database, scenario)
