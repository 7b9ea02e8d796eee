"""The databases of these tests are real, empty, and one for each test."""

import asyncio

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, inspect, select, text

TABLES = MetaData()
ORDERS = Table("orders", TABLES, Column("id", Integer, primary_key=True), Column("item", String))


async def names_of_tables(engine):
    async with engine.connect() as connection:
        return await connection.run_sync(lambda plain: inspect(plain).get_table_names())


@pytest.mark.parametrize("item", ["book", "lamp"])
def test_a_table_makes_the_round_trip(database, item):
    """A row that one engine commits is read by another, and the test before left none."""

    async def scenario():
        writer, reader = database.engine(), database.engine()
        assert await names_of_tables(reader) == []
        await database.create(TABLES)
        async with writer.begin() as connection:
            await connection.execute(insert(ORDERS).values(item=item))
        async with reader.connect() as connection:
            return (await connection.execute(select(ORDERS.c.item))).scalars().all()

    assert database.run(scenario) == [item]


def test_many_connections_write_at_once(database):
    """Writers on connections of their own wait for each other, and none fails."""

    async def scenario():
        await database.create(TABLES)
        engine = database.engine()

        async def write(item):
            async with engine.begin() as connection:
                await connection.execute(insert(ORDERS).values(item=item))

        await asyncio.gather(*[write(str(number)) for number in range(20)])
        async with engine.connect() as connection:
            return set((await connection.execute(select(ORDERS.c.item))).scalars())

    assert database.run(scenario) == {str(number) for number in range(20)}


def test_another_process_would_find_the_same_place(database):
    """URL and schema are all that it takes to open the database again."""
    again = type(database)(database.url, database.schema)
    database.run(database.create, TABLES)

    async def scenario():
        return await names_of_tables(again.engine())

    assert again.run(scenario) == ["orders"]


def test_the_kind_is_the_one_that_answers(database):
    """``kind`` says which database this is, and SQLite writes ahead."""
    question = "PRAGMA journal_mode" if database.kind == "sqlite" else "SELECT version()"

    async def scenario():
        async with database.engine().connect() as connection:
            return (await connection.execute(text(question))).scalar_one()

    answer = database.run(scenario())
    assert answer.split()[0] == {"sqlite": "wal", "postgres": "PostgreSQL"}[database.kind]


def test_options_reach_the_engine(database):
    """What ``engine`` is given goes to SQLAlchemy, beside what the database needs itself."""

    async def scenario():
        engine = database.engine(isolation_level="AUTOCOMMIT", connect_args={})
        await database.create(TABLES)
        async with engine.connect() as connection:
            await connection.execute(insert(ORDERS).values(item="book"))
        async with database.engine().connect() as connection:
            return (await connection.execute(select(ORDERS.c.item))).scalars().all()

    assert database.run(scenario) == ["book"]
