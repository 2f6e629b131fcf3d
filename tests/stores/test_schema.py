"""The schema of each database: what the migrations make is what the models say."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex
from sqlmodel import SQLModel

from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.texts import DIALECT
from gateway.errors import SchemaOutdated


@pytest.mark.filterwarnings("ignore:autogenerate skipping")  # of PostgreSQL's indexes, while at SQLite
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")  # of SQLite's by stretches: see below
def test_the_migrations_make_what_the_models_say(sql_stores):
    def differences(connection):
        def is_for_it(item, _name, _kind, _reflected, _other) -> bool:
            return item.info.get(DIALECT, connection.dialect.name) == connection.dialect.name

        options = {"include_object": is_for_it}
        return compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata)

    assert sql_stores.run(sql_stores.database.read(differences)) == []


def test_the_migrations_make_the_indexes_by_stretches_that_the_models_say(sql_stores):
    def made(connection):
        return set(
            connection.execute(
                text("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%>>%'")
            ).scalars()
        )

    if sql_stores.database.name.startswith("postgresql"):
        pytest.skip("compared above")
    indexes = SQLModel.metadata.tables["log_entry"].indexes
    said = {
        str(CreateIndex(index).compile(dialect=sqlite.dialect()))
        for index in indexes
        if index.info.get(DIALECT) == "sqlite"
    }
    assert sql_stores.run(sql_stores.database.read(made)) == {sql for sql in said if ">>" in sql} != set()


def test_a_second_upgrade_changes_nothing(sql_stores):
    before, after = sql_stores.run(upgrade(sql_stores.database))
    assert before == after


def test_a_newer_schema_is_refused(sql_stores):
    sql_stores.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaOutdated):
        sql_stores.run(upgrade(sql_stores.database))
