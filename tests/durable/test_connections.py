"""What a saga asks of its pool: a connection for its commits, given back whatever happens."""

import asyncio

import pytest
from saga_tools import Base, Bench, Saga, Step, Word, chain, refuse, wait_once
from sqlalchemy import event, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from milo_durable import (
    ActiveSagaAlreadyExistsError,
    BaseStep,
    SagaBuilder,
    SagaHooks,
    Worker,
    _crash,
)
from milo_durable._database import MOST_STATEMENTS

ONE = {"pool_size": 1, "max_overflow": 0}


def on_one_connection(database, scenario, **options):
    """Run ``scenario(bench)`` on new tables, with a pool that holds one connection."""

    async def whole():
        await database.create(Base.metadata)
        engine = database.engine(**(options or ONE))
        return await scenario(Bench(database, engine))

    return database.run(whole)


def counting(engine):
    """A list that gets an item for each time that a connection is asked of the pool."""
    asked = []
    event.listen(engine.sync_engine, "checkout", lambda *given: asked.append(given))
    return asked


def looks(bench, seen):
    """A behaviour that notes how many connections are in use, and waits for nothing."""
    return lambda attempt, inp: seen.append(bench.engine.pool.checkedout())


async def rows(bench):
    """How many sagas there are, asked on a connection of the application's."""
    async with bench.sessions() as session:
        return (await session.execute(select(func.count()).select_from(Saga))).scalar_one()


def test_a_saga_of_three_steps_is_four_statements(database):
    """One inserts it, and each step is recorded by one more, with nothing beside them."""
    sent = []

    async def scenario(bench):
        sync = bench.engine.sync_engine
        event.listen(sync, "before_cursor_execute", lambda *given: sent.append(given[2]))
        await bench.begin(chain(*[Step(name, []) for name in "abc"]))

    on_one_connection(database, scenario)
    assert [statement.split()[0] for statement in sent] == ["INSERT", "UPDATE", "UPDATE", "UPDATE"]


@pytest.mark.parametrize("commit", ["start", "execute"])
def test_a_saga_that_is_cancelled_gives_its_connection_back(database, commit):
    """Once a commit is done, the only connection of the pool is as good for the next."""
    made = []

    async def scenario(bench):
        def cancel(reached):
            if reached == f"{commit}.after":
                asyncio.current_task().cancel()

        event.listen(bench.engine.sync_engine, "connect", lambda *given: made.append(given))
        with _crash.hooked(cancel):
            cancelled = asyncio.create_task(bench.begin(chain(Step("a", []), Step("b", []))))
            await asyncio.wait({cancelled})
        assert cancelled.cancelled()
        return await bench.status(await bench.begin(key="another"))

    assert on_one_connection(database, scenario) == "COMPLETED"
    assert len(made) == 1


def test_a_commit_that_is_refused_gives_its_connection_back(database, caplog):
    """The only one of the pool is there for the next, and not because it was lost and found."""

    async def scenario(bench):
        await bench.begin(chain(Step("a", [], wait_once)))
        with pytest.raises(ActiveSagaAlreadyExistsError):
            await bench.begin()
        return await bench.status(await bench.begin(key="another"))

    assert on_one_connection(database, scenario) == "COMPLETED"
    assert not [each for each in caplog.records if each.name.startswith("sqlalchemy.pool")]


def test_a_step_that_runs_holds_no_connection(database):
    """Others have the only connection of the pool while a step waits for something."""

    async def scenario(bench):
        begun, gate = asyncio.Event(), asyncio.Event()

        async def behave(attempt, inp):
            begun.set()
            await gate.wait()

        running = asyncio.create_task(bench.begin(chain(Step("a", [], behave))))
        await begun.wait()
        (saga,) = await bench.sagas()
        assert saga.status == "RUNNING"
        gate.set()
        return await bench.status(await running)

    assert on_one_connection(database, scenario) == "COMPLETED"


def test_a_saga_that_waits_for_nothing_asks_for_one_connection(database):
    """What begins it and what records its steps is sent on the same."""

    async def scenario(bench):
        asked = counting(bench.engine)
        await bench.begin(chain(*[Step(name, []) for name in "abc"]))
        return len(asked)

    assert on_one_connection(database, scenario) == 1


def test_a_worker_drives_a_saga_on_one_connection(database):
    """Of what it takes, as of what ``start`` begins: all its steps are recorded on one."""

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(*[Step(name, []) for name in "abc"]))
        saga_id = await bench.orchestrator.start("saga", {"word": "go"}, "key", at=bench.clock())
        ((view,), _) = await bench.orchestrator.engine.take_due(1)
        asked = counting(bench.engine)
        await Worker(bench.orchestrator)._drive(view)
        assert len(asked) == 1
        return await bench.status(saga_id)

    assert on_one_connection(database, scenario) == "COMPLETED"


def test_a_step_that_waits_has_the_next_commit_ask_again(database):
    """One connection for what is committed before it waits, one for what comes after."""

    async def scenario(bench):
        asked = counting(bench.engine)
        steps = Step("a", []), Step("b", [], lambda attempt, inp: asyncio.sleep(0)), Step("c", [])
        await bench.begin(chain(*steps))
        return len(asked)

    assert on_one_connection(database, scenario) == 2


class Telling(SagaHooks):
    """A hook that looks how many connections are in use when it is called."""

    def __init__(self, bench, seen):
        self.look = lambda: seen.append(bench.engine.pool.checkedout())

    def saga_started(self, saga):
        self.look()

    def step_started(self, begun):
        self.look()

    def step_succeeded(self, came):
        self.look()


def test_nothing_is_held_while_hooks_run(database):
    """They may ask for the only connection of the pool, and so may steps beside them."""
    seen = []

    async def scenario(bench):
        bench.orchestrator, _ = bench.another(hooks=[Telling(bench, seen)])
        await bench.begin(chain(*[Step(name, [], looks(bench, seen)) for name in "abc"]))

    on_one_connection(database, scenario)
    assert seen == [0] * (1 + 3 * 3)


def test_nothing_is_held_for_steps_beside_each_other(database):
    """Neither from what begins the saga, nor from what records a step."""
    seen = []

    async def scenario(bench):
        builder, look = SagaBuilder(), looks(bench, seen)
        begin = lambda ctx: Word(word=ctx.initial_data["word"])  # noqa: E731
        first = builder.add_step(Step("first", [], look), begin)
        both = [builder.add_step(Step(name, []), lambda word: word, first) for name in "ab"]
        builder.add_step(Step("last", [], look), lambda one, other: one, both)
        return await bench.status(await bench.begin(builder.build()))

    assert on_one_connection(database, scenario) == "COMPLETED"
    assert seen == [0, 0]


@pytest.mark.parametrize("options", [{**ONE, "pool_timeout": 0.01}, {"poolclass": NullPool}])
def test_nothing_is_held_of_a_pool_that_has_nobody_wait(database, options):
    """A step would be refused by the one, and have the other open one connection more."""
    held = []

    async def scenario(bench):
        sync, open_now = bench.engine.sync_engine, []
        event.listen(sync, "checkout", lambda *given: open_now.append(given))
        event.listen(sync, "checkin", lambda *given: open_now.pop())
        note = lambda attempt, inp: held.append(len(open_now))  # noqa: E731
        await bench.begin(chain(*[Step(name, [], note) for name in "abc"]))

    on_one_connection(database, scenario, **options)
    assert held == [0, 0, 0]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_is_held_of_a_pool_that_is_one_connection(database):
    """A step's transaction is one, though it has the connection on which sagas are committed.

    On SQLite, as two cannot use one connection to PostgreSQL at the same time.
    """

    async def scenario(bench):
        async def fail_after_writing(attempt, inp):
            async with bench.sessions() as session:
                await session.execute(update(Saga).values(saga_name="lost"))
                await session.rollback()

        saga_id = await bench.begin(chain(Step("a", []), Step("b", [], fail_after_writing)))
        return (await bench.see(saga_id)).saga_name

    assert on_one_connection(database, scenario, poolclass=StaticPool) == "saga"


def test_a_step_gets_the_only_connection_in_its_first_turn(database):
    """Whether it is done or undone, its driver lets go of what it asks for."""
    counts = []

    async def scenario(bench):
        async def use(attempt=None, inp=None):
            counts.append(await rows(bench))

        steps = Step("a", [], use, use), Step("b", [], use, use), Step("c", [], refuse)
        return await bench.status(await bench.begin(chain(*steps)))

    assert on_one_connection(database, scenario) == "COMPENSATED"
    assert counts == [1, 1, 1, 1]


class OnThread(BaseStep[Word, Word]):
    """A plain function, which has the loop use the pool and waits for that on its thread."""

    def __init__(self, bench, counts):
        self.bench, self.counts = bench, counts
        self.loop = asyncio.get_running_loop()

    def use(self):
        seen = self.bench.engine.pool.checkedout()
        asked = asyncio.run_coroutine_threadsafe(rows(self.bench), self.loop)
        self.counts.append((seen, asked.result()))

    def execute(self, inp: Word) -> Word:
        self.use()
        return inp

    def compensate(self, inp: Word, out: Word) -> None:
        self.use()


def test_a_plain_step_gets_the_only_connection(database):
    """Nothing is held from before it is called."""
    counts = []

    async def scenario(bench):
        steps = OnThread(bench, counts), OnThread(bench, counts), Step("c", [], refuse)
        return await bench.status(await bench.begin(chain(*steps)))

    assert on_one_connection(database, scenario) == "COMPENSATED"
    assert counts == [(0, 1)] * 4


def test_a_step_that_records_gets_the_only_connection(database):
    """The transaction in which it writes is not begun beside a connection that is kept."""

    class Records(Step):
        async def record(self, session, inp, out):
            await session.execute(update(Saga).values(saga_name="recorded"))

    async def scenario(bench):
        steps = Step("a", []), Records("b", []), Step("c", [])
        saga_id = await bench.begin(chain(*steps))
        return (await bench.see(saga_id)).saga_name

    assert on_one_connection(database, scenario) == "recorded"


def test_a_saga_in_a_step_gets_the_only_connection(database):
    """A step may start another saga and wait for it."""

    async def scenario(bench):
        async def start(attempt, inp):
            await bench.orchestrator.start("inner", {"word": "in"}, "inner")

        bench.orchestrator.register("inner", chain(Step("x", []), Step("y", [])))
        await bench.begin(chain(Step("a", [], start), Step("b", [])))
        return [each.status for each in await bench.sagas()]

    assert on_one_connection(database, scenario) == ["COMPLETED", "COMPLETED"]


def test_a_commit_that_fails_keeps_no_connection(database):
    """Nothing is in use after an error, and the next saga has the pool for itself."""

    async def scenario(bench):
        def fail(reached):
            if reached == "execute.before":
                raise RuntimeError("it fails")

        with _crash.hooked(fail), pytest.raises(RuntimeError, match="it fails"):
            await bench.begin(chain(Step("a", [])))
        assert bench.engine.pool.checkedout() == 0
        return await bench.status(await bench.begin(key="another"))

    assert on_one_connection(database, scenario) == "COMPLETED"


def test_a_statement_that_fails_keeps_no_connection(database):
    """It is given back at once, not only when the driver ends."""

    async def scenario(bench):
        async with bench.orchestrator.engine.kept() as kept:
            with pytest.raises(RuntimeError, match="it fails"):
                async with kept.statement("execute"):
                    raise RuntimeError("it fails")
            assert bench.engine.pool.checkedout() == 0

    on_one_connection(database, scenario)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_connection_that_is_lost_is_not_kept(database):
    """The commit on it fails, and the next saga has a new one. One to a file is not lost."""
    made = []

    async def scenario(bench):
        event.listen(bench.engine.sync_engine, "connect", lambda *given: made.append(given[0]))

        def lose(attempt, inp):
            if len(made) == 1:
                made[0].driver_connection.terminate()

        with pytest.raises(DBAPIError):
            await bench.begin(chain(Step("a", []), Step("b", [], lose)))
        return await bench.status(await bench.begin(key="another"))

    assert on_one_connection(database, scenario) == "COMPLETED"
    assert len(made) == 2


def test_sagas_in_a_row_take_turns_with_others(database):
    """Who starts one after the other does not keep the only connection from who waits for it."""
    ended = []

    async def scenario(bench):
        bench.orchestrator.register("saga", chain(Step("a", []), Step("b", [])))

        async def one_by_one(who):
            for number in range(5):
                await bench.begin(key=f"{who}{number}")
                ended.append(who)

        await asyncio.gather(one_by_one("x"), one_by_one("y"))

    on_one_connection(database, scenario)
    assert sorted(ended[:4]) == ["x", "x", "y", "y"]


def test_a_long_saga_lets_others_have_the_connection(database):
    """However many steps there are that wait for nothing."""
    journal = []

    async def scenario(bench):
        waiting = []

        def wait(attempt, inp):
            waiting.append(asyncio.create_task(rows(bench)))
            waiting[0].add_done_callback(lambda done: journal.append("other"))

        steps = [Step(str(number), journal) for number in range(2 * MOST_STATEMENTS)]
        await bench.begin(chain(Step("first", journal, wait), *steps))
        await waiting[0]

    on_one_connection(database, scenario)
    assert journal.index("other") <= MOST_STATEMENTS + 4
