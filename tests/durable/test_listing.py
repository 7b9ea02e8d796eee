"""Operators find sagas without knowing their ids."""

from datetime import timedelta
from uuid import UUID

import pytest
from saga_tools import START, Plain, Step, Word, chain, on, refuse, wait_once
from sqlalchemy import event

from milo_durable import SagaBuilder, SagaDefinitionError, SagaStatus, SagaSummary

HOUR = timedelta(hours=1)


async def some_sagas(bench):
    """One that is done, one that has failed and one that waits, an hour apart; their ids."""
    bench.orchestrator.register("done", chain(Plain()))
    bench.orchestrator.register("failed", chain(Step("a", [], refuse)))
    bench.orchestrator.register("waits", chain(Step("b", [], wait_once)))
    ids = []
    for name in ("done", "failed", "waits"):
        ids.append(await bench.begin(name=name, key=f"key of {name}"))
        bench.clock.forward(HOUR)
    return ids


def test_sagas_are_listed_newest_first(database):
    """All of them, or as many as are asked for."""

    async def scenario(bench):
        assert await bench.admin.list_sagas() == []
        ids = await some_sagas(bench)
        assert [each.id for each in await bench.admin.list_sagas()] == ids[::-1]
        assert [each.id for each in await bench.admin.list_sagas(limit=2)] == ids[:0:-1]

    on(database, scenario)


def test_a_summary_is_the_snapshot_without_what_may_be_long(database):
    """Each field has the value that it has there."""

    async def scenario(bench):
        ids = await some_sagas(bench)
        for saga_id, summary in zip(ids[::-1], await bench.admin.list_sagas(), strict=True):
            assert summary == SagaSummary.of(await bench.see(saga_id))
        assert isinstance(summary.status, SagaStatus)
        assert summary.created_at == START

    on(database, scenario)


def test_a_summary_has_the_steps_in_flight(database):
    """As the snapshot has them."""

    async def scenario(bench):
        builder = SagaBuilder()
        for step in (Step("a", [], wait_once), Step("b", [], wait_once)):
            builder.add_step(step=step, input_map=lambda ctx: Word(word="go"))
        saga_id = await bench.begin(builder.build())
        (summary,) = await bench.admin.list_sagas()
        assert set(summary.branches) == {"step_0", "step_1"}  # in the order of their commits
        assert summary == SagaSummary.of(await bench.see(saga_id))

    on(database, scenario)


FILTERS = [
    ({"status": SagaStatus.FAILED}, ["failed"]),
    ({"status": "FAILED"}, ["failed"]),
    ({"status": [SagaStatus.FAILED, SagaStatus.SUSPENDED]}, ["waits", "failed"]),
    ({"status": []}, []),
    ({"name": "done"}, ["done"]),
    ({"name": "Done"}, []),
    ({"aggregation_id": "key of waits"}, ["waits"]),
    ({"aggregation_id": "key of waits", "status": SagaStatus.FAILED}, []),
]


@pytest.mark.parametrize(("asked", "names"), FILTERS, ids=str)
def test_what_is_asked_for_has_to_fit(database, asked, names):
    """By status, name and aggregation id; by all of them that are given."""

    async def scenario(bench):
        await some_sagas(bench)
        assert [each.saga_name for each in await bench.admin.list_sagas(**asked)] == names

    on(database, scenario)


def test_a_saga_is_found_by_how_its_id_begins(database):
    """With or without dashes, in any case; several when several begin so."""
    first = UUID("3f2a9c1e-0000-4000-8000-000000000000")
    last = UUID("3f2a9c1e-ffff-4fff-bfff-ffffffffffff")
    other = UUID("3f2a9c1f-0000-4000-8000-000000000000")

    async def scenario(bench):
        for saga_id, new_id in zip(await some_sagas(bench), (first, last, other), strict=True):
            await bench.force(saga_id, id=new_id)

        async def found(prefix):
            return [each.id for each in await bench.admin.list_sagas(id_prefix=prefix)]

        assert await found("3f2a") == [other, last, first]
        assert await found("3F2A9C1E") == [last, first]
        assert await found("3f2a9c1e-f") == await found("3f2a9c1ef") == [last]
        assert await found(str(first)) == [first]
        assert await found("00") == []

    on(database, scenario)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"status": "GONE"}, "one or several of RUNNING, SUSPENDED, .* not 'GONE'"),
        ({"status": ["FAILED", 3]}, "one or several of RUNNING"),
        ({"status": 3}, "not 3"),
        ({"name": 7}, "name must be a text, not 7"),
        ({"aggregation_id": b"a"}, "aggregation_id must be a text, not b'a'"),
        ({"id_prefix": ""}, "beginning of a saga's id, such as '3f2a9c1e', not ''"),
        ({"id_prefix": "xyz"}, "not 'xyz'"),
        ({"id_prefix": "0" * 33}, "not '000"),
        ({"id_prefix": 3}, "not 3"),
        ({"limit": 0}, "limit must be a whole number from 1, not 0"),
        ({"limit": True}, "not True"),
        ({"limit": 1.5}, "not 1.5"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(database, asked, message):
    """The error says what was given and what is expected."""

    async def scenario(bench):
        with pytest.raises(SagaDefinitionError, match=message):
            await bench.admin.list_sagas(**asked)

    on(database, scenario)


async def statement_of(bench, **asked):
    """The one statement, with its parameters, that listing these sagas is."""
    statements = []

    def note(connection, cursor, sql, parameters, context, executemany):
        statements.append((sql, parameters))

    event.listen(bench.engine.sync_engine, "before_cursor_execute", note)
    await bench.admin.list_sagas(**asked)
    event.remove(bench.engine.sync_engine, "before_cursor_execute", note)
    (statement,) = statements
    return statement


def test_a_list_reads_no_history(database):
    """Its statement names neither the history nor the context, and locks nothing."""
    sql, _ = on(database, lambda bench: statement_of(bench, status=SagaStatus.FAILED))
    assert not any(word in sql for word in ("step_history", "context", "FOR UPDATE"))


def test_the_newest_sagas_are_read_from_an_index(database):
    """Nothing is sorted, however many sagas there are."""
    explain = "EXPLAIN QUERY PLAN" if database.kind == "sqlite" else "EXPLAIN"

    async def scenario(bench):
        sql, parameters = await statement_of(bench, limit=5)
        async with bench.engine.connect() as connection:
            if database.kind == "postgres":  # an empty table it would rather sort
                await connection.exec_driver_sql("SET enable_sort = off")
            rows = await connection.exec_driver_sql(f"{explain} {sql}", parameters)
            return " ".join(str(each) for row in rows for each in row)

    plan = on(database, scenario)
    assert "ix_saga_created" in plan
    assert "TEMP B-TREE" not in plan and "Sort" not in plan
