"""Migrations: Alembic finds in the models what is in the database, and writes what runs."""

import re
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import NullPool

from milo_durable import InboxMessageMixin, OutboxMessageMixin, SagaStateMixin
from milo_durable.migrations import render_item
from milo_durable.opening import SagaBase

pytest.importorskip("alembic", reason="alembic is not installed")

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations

GUIDE = Path(__file__).parents[2] / "docs" / "durable-migrations.md"


class WithoutInbox(DeclarativeBase):
    pass


class Orders(WithoutInbox, SagaStateMixin):
    __tablename__ = "orders"


class WithAll(DeclarativeBase):
    pass


class Shipments(WithAll, SagaStateMixin):
    __tablename__ = "shipments"


class Messages(WithAll, InboxMessageMixin):
    __tablename__ = "messages"


class Outgoing(WithAll, OutboxMessageMixin):
    __tablename__ = "outgoing"


METADATA = {
    "ready-made": SagaBase.metadata,
    "built-in inbox": WithoutInbox.metadata,
    "own models": WithAll.metadata,
}
every_metadata = pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)


def on(database, work):
    """The result of ``work(connection)``, a plain function, in one transaction."""

    async def scenario():
        async with database.engine(poolclass=NullPool).begin() as connection:
            return await connection.run_sync(work)

    return database.run(scenario)


def alembic_on(connection):
    return MigrationContext.configure(connection, opts={"render_item": render_item})


def written(connection, metadata):
    """The program that ``alembic revision --autogenerate`` writes."""
    imports = set()

    def render(kind, item, context):
        rendered = render_item(kind, item, context)
        imports.update(context.imports)
        return rendered

    parts = produce_migrations(alembic_on(connection), metadata)
    bodies = [
        render_python_code(each, render_item=render)
        for each in (parts.upgrade_ops, parts.downgrade_ops)
    ]
    lines = ["import sqlalchemy as sa", "from alembic import op", *sorted(imports)]
    for name, body in zip(("upgrade", "downgrade"), bodies, strict=True):
        lines += [f"def {name}():", *(f"    {line}" for line in body.splitlines())]
        lines.append("    pass")
    return "\n".join(lines).replace("\n        op.", "\n    op.")


def run(connection, program, function):
    """Run one function of a migration."""
    names = {}
    exec(program, names)
    with Operations.context(alembic_on(connection)):
        names[function]()


def described(connection):
    """The tables with their columns, keys and indexes, as the database has them."""
    look = inspect(connection)
    tables = {}
    for name in look.get_table_names():
        columns = [
            (each["name"], str(each["type"]), each["nullable"]) for each in look.get_columns(name)
        ]
        indexes = [
            (
                each["name"],
                each["column_names"],
                each["unique"],
                {
                    key: str(value)
                    for key, value in each.get("dialect_options", {}).items()
                    if key.endswith("_where")
                },
            )
            for each in look.get_indexes(name)
        ]
        key = look.get_pk_constraint(name)["constrained_columns"]
        tables[name] = columns, sorted(indexes, key=lambda index: index[0]), key
    return tables


@every_metadata
def test_alembic_finds_nothing_to_change(database, metadata):
    """After create_all the database is what the metadata says."""

    def work(connection):
        metadata.create_all(connection)
        return compare_metadata(alembic_on(connection), metadata)

    assert on(database, work) == []


@every_metadata
def test_what_alembic_writes_makes_the_same_tables(database, metadata):
    """The written migration runs as it is, and back; it imports nothing of this package."""

    def work(connection):
        program = written(connection, metadata)
        metadata.create_all(connection)
        created = described(connection)
        metadata.drop_all(connection)
        run(connection, program, "upgrade")
        migrated, differs = (
            described(connection),
            compare_metadata(alembic_on(connection), metadata),
        )
        run(connection, program, "downgrade")
        return program, created, migrated, differs, described(connection)

    program, created, migrated, differs, left = on(database, work)
    assert "milo_durable" not in program
    assert created == migrated and len(created) == len(metadata.tables)
    assert (differs, left) == ([], {})


def test_the_migration_in_the_guide_is_the_one_of_today(database):
    """It makes the tables that create_all makes; write it anew when the tables change."""
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (program,) = [block for block in blocks if "def upgrade" in block]

    def work(connection):
        metadata = SagaBase.metadata
        metadata.create_all(connection)
        created = described(connection)
        metadata.drop_all(connection)
        run(connection, program, "upgrade")
        migrated, differs = (
            described(connection),
            compare_metadata(alembic_on(connection), metadata),
        )
        run(connection, program, "downgrade")
        return created, migrated, differs, described(connection)

    created, migrated, differs, left = on(database, work)
    assert created == migrated
    assert (differs, left) == ([], {})


@every_metadata
def test_every_index_has_a_name_of_its_own(metadata):
    """It is made of the table's, and no constraint but the primary key is left to the database."""
    names = []
    for table in metadata.tables.values():
        assert all(table.name in str(index.name) for index in table.indexes)
        names += [index.name for index in table.indexes]
        assert table.constraints == {table.primary_key}
    assert len(names) == len(set(names)) > 0


def test_other_types_are_left_to_alembic():
    """render_item has no say in what is not of these tables."""
    from sqlalchemy import JSON, DateTime

    for kind, item in (("type", DateTime()), ("type", JSON()), ("server_default", None)):
        assert render_item(kind, item, None) is False
