"""A PostgreSQL that goes, comes back, refuses, or is not one for a log: what the flows hear of it."""

import asyncio
import contextlib
import gc
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.util import await_only

from gateway.adapters.sql import postgres
from gateway.adapters.sql.opening import open_database
from gateway.adapters.sql.postgres import PostgresDatabase
from gateway.adapters.sql.verify import verify_log
from gateway.errors import DatabaseUnusable, Unavailable
from gateway.ports import NewEntry
from gateway.settings import load_settings

WITHIN_S = 20


def entry(number: int, **members) -> NewEntry:
    return NewEntry(**{"type": "t", "source": "/s", "id": str(number), "envelope": b"{}"} | members)


def raising(sqlstate: str):
    """A transaction that the server ends with this error."""
    statement = text(f"DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{sqlstate}'; END $$")
    return lambda connection: connection.execute(statement)


@pytest.mark.parametrize(
    "sqlstate",
    [
        "53100",  # disk full
        "53200",  # out of memory
        "53300",  # too many connections
        "57P01",  # shutting down
        "57P03",  # starting up
        "57014",  # a statement took too long
        "55P03",  # a lock took too long
        "40P01",  # deadlock
        "25006",  # read-only: a standby, or after a failover
        "58030",  # the server's disk fails
        "0A000",  # a prepared statement from before a migration
    ],
)
def test_what_may_pass_is_unavailable(postgres_stores, sqlstate):
    with pytest.raises(Unavailable, match="made up"):
        postgres_stores.run(postgres_stores.database.write(raising(sqlstate)))
    assert not postgres_stores.database.writable
    postgres_stores.run(postgres_stores.log.append([entry(1)]))
    assert postgres_stores.database.writable


@pytest.mark.parametrize("sqlstate", ["22021", "22003", "22P05", "54000"])
def test_what_is_the_value_s_fault_is_a_value_error(postgres_stores, sqlstate):
    with pytest.raises(ValueError, match="made up"):
        postgres_stores.run(postgres_stores.database.write(raising(sqlstate)))
    assert postgres_stores.database.writable


@pytest.mark.parametrize("members", [{"agent_id": "a\0b"}, {"subject": "\ud800"}, {"subject": "\0"}])
def test_s7b_a_text_that_no_column_can_hold_leaves_nothing_behind(postgres_stores, members):
    log = postgres_stores.log
    with pytest.raises(ValueError, match="cannot hold"):
        postgres_stores.run(log.append([entry(1), entry(2, **members)]))
    appended = postgres_stores.run(log.append([entry(1)]))
    assert [(item.position, item.duplicate) for item in appended] == [(1, False)]


def test_a_restart_is_survived(postgres_server, postgres_stores):
    """While it is away everything says so, at once; afterwards nothing needs to be done."""
    log, database = postgres_stores.log, postgres_stores.database
    postgres_stores.run(log.append([entry(1)]))
    postgres_server.stop()
    try:
        with pytest.raises(Unavailable):
            postgres_stores.run(log.append([entry(2)]))
        with pytest.raises(Unavailable):
            postgres_stores.run(log.head())
        assert not database.writable
    finally:
        postgres_server.start()
    assert postgres_stores.run(log.append([entry(2)]))[0].position == 2
    assert postgres_stores.run(log.head()).position == 2
    assert database.writable
    assert postgres_stores.run(verify_log(database)).ok


def test_connections_that_the_server_closed_are_made_anew(postgres_server, postgres_stores):
    log = postgres_stores.log

    async def all_at_once() -> None:
        await asyncio.gather(*(log.head() for _ in range(20)))

    postgres_stores.run(all_at_once())
    postgres_server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'stores%'")

    async def until_known() -> None:
        """What the server said has to arrive first; a transaction that finds out itself fails, and only once."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                with contextlib.suppress(Unavailable):
                    await all_at_once()
                    await log.append([entry(1)])
                    return

    postgres_stores.run(until_known())


def test_a_crash_in_the_middle_loses_nothing_that_was_committed(postgres_server, postgres_stores):
    log, database = postgres_stores.log, postgres_stores.database
    known = []

    async def main() -> None:
        async def append() -> None:
            for number in range(100_000):
                with contextlib.suppress(Unavailable):
                    known.extend(await log.append([entry(number)]))
                    continue
                return

        appending = asyncio.create_task(append())
        async with asyncio.timeout(WITHIN_S):
            while len(known) < 20:
                await asyncio.sleep(0)
            await asyncio.to_thread(postgres_server.crash)
            await appending

    try:
        postgres_stores.run(main())
    finally:
        if not postgres_server.answers():
            postgres_server.start()
    head = postgres_stores.run(log.head()).position
    # The last one may have been committed without the answer having arrived: its repetition will tell.
    assert known[-1].position <= head <= known[-1].position + 1
    again = postgres_stores.run(log.append([entry(len(known))]))[0]
    assert (again.position, again.duplicate) == (len(known) + 1, head == len(known) + 1)
    assert postgres_stores.run(verify_log(database)).ok


def test_a_cancelled_caller_does_not_cut_a_transaction_off(postgres_stores):
    log = postgres_stores.log

    async def main() -> None:
        for number in range(30):
            appending = asyncio.create_task(log.append([entry(number)]))
            for _ in range(number):
                await asyncio.sleep(0)
            appending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await appending
        await log.append([entry(-1)])

    postgres_stores.run(main())
    assert postgres_stores.run(verify_log(postgres_stores.database)).ok


def test_a_read_sees_one_state_and_writes_nothing(postgres_stores):
    log, database = postgres_stores.log, postgres_stores.database
    counting = text("SELECT count(*) FROM log_entry")

    def work(connection) -> tuple[int, int]:
        before = connection.execute(counting).scalar_one()
        await_only(log.append([entry(1)]))
        return before, connection.execute(counting).scalar_one()

    assert postgres_stores.run(database.read(work)) == (0, 0)
    with pytest.raises(Unavailable, match="read-only"):
        postgres_stores.run(database.read(lambda connection: connection.execute(text("DELETE FROM shard"))))


def opening(url: str) -> None:
    async def main() -> None:
        async with open_database(load_settings({"GATEWAY_DATABASE_URL": url}), Path("/nowhere")):
            pass

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("/stores_", "/no_such_"), 'database "no_such_.*" does not exist'),
        (lambda url: url.replace("gateway:", "somebody:"), 'role "somebody" does not exist'),
        (lambda url: url.rpartition(":")[0] + ":1/gateway", "Connect call failed"),
        (lambda url: url + "?no_such_option=1", "no_such_option"),
        (lambda url: url + "?sslmode=verify-all", "sslmode"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(postgres_url, change, said):
    with pytest.raises(DatabaseUnusable, match=said) as raised:
        opening(change(postgres_url))
    assert "not-asked-for" not in str(raised.value)


def test_other_spellings_of_the_url(postgres_url):
    for scheme in ("postgresql", "postgres"):
        opening(scheme + postgres_url.removeprefix("postgresql+asyncpg"))
    opening(postgres_url + "?sslmode=disable")


def test_another_encoding_is_refused(postgres_server):
    postgres_server.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(DatabaseUnusable, match="LATIN1"):
        opening(postgres_server.url("latin"))


def test_no_log_to_verify(postgres_server):
    settings = load_settings({"GATEWAY_DATABASE_URL": postgres_server.create("empty")})

    async def main() -> None:
        async with open_database(settings, Path("/nowhere"), must_exist=True):
            pass

    with pytest.raises(DatabaseUnusable, match="There is no log at"):
        asyncio.run(main())
    assert (
        postgres_server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database="empty")
        == "0"
    )


def test_without_the_driver_it_says_what_to_install(monkeypatch, postgres_url):
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(DatabaseUnusable, match=r"pip install 'letta-gateway\[gateway,postgres\]'"):
        opening(postgres_url)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the server's processes in /proc")
def test_a_server_that_stands_still_is_not_waited_for_without_end(
    postgres_server, postgres_url, monkeypatch, caplog
):
    """Neither by who asks nor by who closes; what it had begun ends when it wakes, whole or not at all."""
    monkeypatch.setattr(postgres, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(postgres, "_END_S", 0.3)
    monkeypatch.setattr(postgres, "_CONNECT_S", 1.0)
    database = PostgresDatabase(postgres_url)

    async def main() -> None:
        await asyncio.gather(*(database.read(count) for _ in range(4)))
        postgres_server.freeze()
        try:
            for ask in (database.read, database.write):
                with pytest.raises(Unavailable, match="does not answer"):
                    await ask(count)
            await database.close()
        finally:
            postgres_server.thaw()

    def count(connection) -> int:
        return connection.execute(text("SELECT count(*) FROM shard")).scalar_one()

    asyncio.run(main())
    gc.collect()
    assert not caplog.records  # what failed after its caller had gone is nobody's error
