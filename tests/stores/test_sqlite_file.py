"""What is particular to the file: it belongs to one process, and what is secret or erased cannot be read in it."""

import asyncio
import contextlib
import sqlite3

import pytest

from gateway.adapters.sql import sqlite
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.domain.subscription import SubscriptionSpec
from gateway.errors import DatabaseInUse


@pytest.mark.usefixtures("sqlite_stores")
def test_one_process_at_a_time(tmp_path):
    with pytest.raises(DatabaseInUse):
        SqliteDatabase(tmp_path / "gateway.db")


def test_nothing_secret_is_readable_in_the_file(sqlite_stores, tmp_path):
    secret, path = "whsec_" + "Z" * 40, "very-private-path"
    asked = SubscriptionSpec(sink=f"https://example.com/{path}", headers={"X-Key": "header-secret-value"})
    sqlite_stores.run(
        sqlite_stores.subscriptions.create(asked, organization="*", privileged=True, secret=secret)
    )
    sqlite_stores.run(sqlite_stores.database.close())
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    for text in (secret, secret.removeprefix("whsec_"), path, "header-secret-value"):
        assert text.encode() not in raw


def deleted(database: SqliteDatabase, path) -> bytes:
    """Write a word, see that it is on the disk, and erase it; gives what the files have then."""
    database.write_now(lambda connection: connection.exec_driver_sql("CREATE TABLE t (a TEXT)"))
    database.write_now(lambda connection: connection.exec_driver_sql("INSERT INTO t VALUES ('the-word')"))
    assert b"the-word" in on_disk(path)
    asyncio.run(database.erase(lambda connection: connection.exec_driver_sql("UPDATE t SET a = ''")))
    return on_disk(path)


def on_disk(path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


@pytest.mark.parametrize(("bytes_max", "rewritten"), [(sqlite.REWRITTEN_BYTES_MAX, True), (0, False)])
def test_s8b_nothing_is_left_of_what_was_erased_once_it_is_scrubbed(
    tmp_path, monkeypatch, bytes_max, rewritten
):
    monkeypatch.setattr(sqlite, "REWRITTEN_BYTES_MAX", bytes_max)
    path = tmp_path / "gateway.db"
    database = SqliteDatabase(path)
    assert b"the-word" in deleted(database, path)  # in the log of writes
    assert asyncio.run(database.scrub()) is rewritten
    assert b"the-word" not in on_disk(path)
    database.close_now()
    assert b"the-word" not in on_disk(path)


def test_s8b_whoever_still_reads_the_old_state_is_waited_for_without_holding_up_writes(tmp_path):
    path = tmp_path / "gateway.db"
    database = SqliteDatabase(path)
    deleted(database, path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        database.write_now(lambda connection: connection.exec_driver_sql("INSERT INTO t VALUES ('next')"))
        assert asyncio.run(database.scrub()) is None
        database.write_now(lambda connection: connection.exec_driver_sql("INSERT INTO t VALUES ('more')"))
    assert asyncio.run(database.scrub()) is True
    assert b"the-word" not in on_disk(path)
    database.close_now()
