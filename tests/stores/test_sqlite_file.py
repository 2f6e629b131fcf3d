"""What is particular to the file: its schema, its verification, and that it belongs to one process."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.adapters.sql.verify import verify_log
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import DatabaseInUse, SchemaOutdated
from gateway.ports import NewEntry


def fill(stores, count: int) -> None:
    stores.run(
        stores.log.append(
            [NewEntry(type="t", source="/s", id=str(n), envelope=b'{"n": %d}' % n) for n in range(count)]
        )
    )


def execute(stores, *statements: str) -> None:
    stores.database.write_now(
        lambda connection: [connection.exec_driver_sql(statement) for statement in statements]
    )


def verify(stores):
    return stores.database.read_now(verify_log)


def test_the_migrations_make_what_the_models_say(sqlite_stores):
    differences = sqlite_stores.database.read_now(
        lambda connection: compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    )
    assert differences == []


def test_a_second_upgrade_changes_nothing(sqlite_stores):
    before, after = upgrade(sqlite_stores.database.engine)
    assert before == after


def test_a_newer_schema_is_refused(sqlite_stores):
    execute(sqlite_stores, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaOutdated):
        upgrade(sqlite_stores.database.engine)


@pytest.mark.usefixtures("sqlite_stores")
def test_one_process_at_a_time(tmp_path):
    with pytest.raises(DatabaseInUse):
        SqliteDatabase(tmp_path / "gateway.db")


def test_a_sound_log_verifies(sqlite_stores):
    fill(sqlite_stores, 2_500)
    result = verify(sqlite_stores)
    assert (result.ok, result.checked) == (True, 2_500)


@pytest.mark.parametrize(
    ("tampering", "first_bad"),
    [
        (["UPDATE log_entry SET envelope = '{}' WHERE position = 3"], 3),
        (["UPDATE log_entry SET envelope = x'7b7d' WHERE position = 3"], 3),
        (["UPDATE log_entry SET appended_at = 'x' WHERE position = 3"], 3),
        (["UPDATE log_entry SET row_hash = 'x' WHERE position = 3"], 3),
        (["UPDATE log_entry SET type = 'x' WHERE position = 4"], 4),
        (["UPDATE log_entry SET organization = 'x' WHERE position = 4"], 4),
        (["UPDATE log_entry SET appended_at = appended_at + 1 WHERE position = 2"], 2),
        (["DELETE FROM log_entry WHERE position = 5"], 5),
        (["DELETE FROM log_entry WHERE position = 1"], 1),
        (["DELETE FROM log_entry WHERE position >= 6"], 6),
        (["UPDATE log_entry SET nonce = NULL WHERE position = 3"], 3),
        (
            [
                "UPDATE log_entry SET position = 99 WHERE position = 2",
                "UPDATE log_entry SET position = 2 WHERE position = 3",
                "UPDATE log_entry SET position = 3 WHERE position = 99",
            ],
            2,
        ),
    ],
)
def test_tampering_is_found_at_its_first_position(sqlite_stores, tampering, first_bad):
    fill(sqlite_stores, 8)
    execute(sqlite_stores, *tampering)
    result = verify(sqlite_stores)
    assert not result.ok
    assert (result.first_bad, bool(result.reason)) == (first_bad, True)


def test_an_erased_payload_leaves_the_chain_whole(sqlite_stores):
    fill(sqlite_stores, 5)
    execute(sqlite_stores, "UPDATE log_entry SET envelope = NULL, nonce = NULL WHERE position = 3")
    assert verify(sqlite_stores).ok
    assert sqlite_stores.run(sqlite_stores.log.get(3)).envelope is None


def test_nothing_secret_is_readable_in_the_file(sqlite_stores, tmp_path):
    secret, path = "whsec_" + "Z" * 40, "very-private-path"
    asked = SubscriptionSpec(sink=f"https://example.com/{path}", headers={"X-Key": "header-secret-value"})
    sqlite_stores.run(
        sqlite_stores.subscriptions.create(asked, organization="*", privileged=True, secret=secret)
    )
    sqlite_stores.database.close_now()
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    for text in (secret, secret.removeprefix("whsec_"), path, "header-secret-value"):
        assert text.encode() not in raw
