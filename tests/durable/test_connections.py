"""What a saga asks of its pool: a connection for each commit, given back whatever happens."""

import asyncio

import pytest
from saga_tools import Base, Bench, Step, chain, wait_once
from sqlalchemy import event

from milo_durable import ActiveSagaAlreadyExistsError, _crash


def on_one_connection(database, scenario):
    """Run ``scenario(bench)`` on new tables, with a pool that holds one connection."""

    async def whole():
        await database.create(Base.metadata)
        engine = database.engine(pool_size=1, max_overflow=0)
        return await scenario(Bench(database, engine))

    return database.run(whole)


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
