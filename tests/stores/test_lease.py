"""One gateway per PostgreSQL database, by its lease: who has it, who may write, who takes over (S6a, S7d)."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.util import await_only

from gateway.adapters.sql import lease as lease_module
from gateway.adapters.sql.opening import open_database
from gateway.adapters.sql.postgres import PostgresDatabase
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.errors import DatabaseInUse, LeaseLost
from gateway.settings import load_settings

WITHIN_S = 20


EXPIRE = "UPDATE lease SET expires_at = 0"
EPOCH = "SELECT epoch FROM lease"
OWNER = "SELECT owner FROM lease"
EXPIRES_AT = "SELECT expires_at FROM lease"
STEAL = "UPDATE lease SET epoch = epoch + 1, owner = 'another'"
WAITING_FOR_LOCKS = "SELECT count(*) FROM pg_locks WHERE NOT granted"

Ask = Callable[[str], str]


@pytest.fixture
def ask(postgres_server, postgres_url) -> Ask:
    """Look at the database, or change it, as a third party does."""
    name = postgres_url.rpartition("/")[2]
    return lambda statement: postgres_server.sql(statement, database=name)


def opened(url: str, waiting=None):
    settings = load_settings({"GATEWAY_DATABASE_URL": url})
    return open_database(settings, Path("/nowhere"), waiting=waiting)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.01)


def count(database: PostgresDatabase):
    return database.write(lambda connection: connection.execute(text("UPDATE shard SET routed = routed + 1")))


def test_a_second_process_is_refused_and_told_who_has_it(postgres_url):
    async def main() -> None:
        async with opened(postgres_url) as first:
            with pytest.raises(DatabaseInUse, match=r"in use by process \d+ on .*try again in \d+ s"):
                async with opened(postgres_url):
                    pytest.fail("it was opened twice")
            await count(first)
        async with opened(postgres_url) as second:  # it was given back: nobody has to wait
            await count(second)

    asyncio.run(main())


def test_who_waits_finds_that_the_holder_lives(postgres_url, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_S", 0.2)
    told: list[str] = []

    async def main() -> None:
        async with opened(postgres_url) as first:
            with pytest.raises(DatabaseInUse):
                async with opened(postgres_url, told.append):
                    pytest.fail("it was opened twice")
            await count(first)

    asyncio.run(main())
    assert len(told) == 1
    assert "Waiting up to 30 s" in told[0]


def test_who_waits_takes_over_from_a_dead_one(postgres_url, ask, monkeypatch):
    monkeypatch.setattr(lease_module, "_LASTS_US", 2_000_000)

    async def main() -> None:
        dead = PostgresDatabase(postgres_url)
        assert await dead.lease._transact(lambda connection: lease_module.take(connection, "the dead")) == 2
        await dead.close()
        told: list[str] = []
        async with opened(postgres_url, told.append) as database:
            assert ask(EPOCH) == "3"
            await count(database)
        assert len(told) == 1
        assert "the dead" in told[0]

    asyncio.run(main())


def test_who_lost_it_cannot_write_and_is_ended(postgres_url, ask):
    ended = []

    async def hold(ready: asyncio.Event) -> None:
        try:
            async with opened(postgres_url) as first:
                ask(EXPIRE)  # it was away for long
                ready.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    with pytest.raises(LeaseLost):
                        await count(first)
                    with pytest.raises(LeaseLost):
                        await first.until_it_holds(0)
                    assert first.holds_for_s() == -math.inf
        except LeaseLost as error:
            ended.append(str(error))

    async def main() -> None:
        ready = asyncio.Event()
        holding = asyncio.create_task(hold(ready))
        await ready.wait()
        async with opened(postgres_url) as second:
            async with asyncio.timeout(WITHIN_S):  # its next renewal finds it out
                await holding
            await count(second)

    asyncio.run(main())
    assert "taken over by process" in ended[0]


def test_a_write_finds_the_loss_before_the_renewal_does(postgres_url, ask):
    async def main() -> None:
        async with opened(postgres_url) as first:
            ask(STEAL)
            with pytest.raises(LeaseLost, match="another"):
                await count(first)
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost, match="another"):
        asyncio.run(main())
    assert ask(OWNER) == "another"  # what is another's is not given back


def test_a_lease_that_ran_out_and_that_nobody_took_goes_on(postgres_url, ask, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_S", 0.1)

    async def main() -> None:
        async with opened(postgres_url) as database:
            ask(EXPIRE)
            await count(database)
            await until(lambda: int(ask(EXPIRES_AT)) > 0)
            assert ask(EPOCH) == "2"

    asyncio.run(main())


def test_a_take_over_waits_for_the_transaction_of_the_one_before(postgres_url, ask):
    """What was begun under the lease is committed under it, or the next holder would read an older log."""

    async def main() -> None:
        async with opened(postgres_url) as first:
            go_on, inside = asyncio.Event(), asyncio.Event()

            def slowly(connection) -> None:
                connection.execute(text("UPDATE shard SET routed = 7"))
                inside.set()
                await_only(go_on.wait())

            writing = asyncio.create_task(first.write(slowly))
            await inside.wait()
            ask(EXPIRE)  # as a renewal, this is not held up by the transaction
            taking = asyncio.create_task(take_over(postgres_url))
            await until(lambda: ask(WAITING_FOR_LOCKS) != "0")
            assert not taking.done()
            go_on.set()
            await writing
            assert await taking == 7
            await count(first)

    with pytest.raises(LeaseLost):
        asyncio.run(main())


async def take_over(url: str) -> int:
    async with opened(url) as second:
        statement = text("SELECT min(routed) FROM shard")
        return await second.read(lambda connection: connection.execute(statement).scalar_one())


def test_a_post_may_start_while_it_holds_for_long_enough(postgres_url, monkeypatch):
    async def main() -> None:
        async with opened(postgres_url) as database:
            assert 25 < database.holds_for_s() <= lease_module.LASTS_S
            await database.until_it_holds(17)
            database.lease._until -= 20  # for so long nothing was heard of the database
            waiting = asyncio.create_task(database.until_it_holds(17))
            await asyncio.sleep(0)
            assert not waiting.done()
            async with asyncio.timeout(WITHIN_S):
                await waiting  # the next renewal

    monkeypatch.setattr(lease_module, "RENEW_S", 0.2)
    asyncio.run(main())


def test_a_file_is_always_held(tmp_path):
    database = SqliteDatabase(tmp_path / "gateway.db")
    assert database.holds_for_s() == math.inf
    asyncio.run(database.until_it_holds(10**9))
    database.close_now()


def test_nobody_shares_the_making_of_the_tables(postgres_server):
    """Several start on an empty database: one gets it, whole; the others are refused."""
    url = postgres_server.create("made_by_many")

    async def start(ready: asyncio.Event) -> str:
        try:
            async with opened(url) as database:
                await ready.wait()
                await count(database)
                return "served"
        except DatabaseInUse:
            return "refused"

    async def main() -> list[str]:
        ready = asyncio.Event()
        tasks = [asyncio.create_task(start(ready)) for _ in range(4)]
        async with asyncio.timeout(WITHIN_S):
            while sum(task.done() for task in tasks) < 3:
                await asyncio.sleep(0.01)
        ready.set()
        return await asyncio.gather(*tasks)

    assert sorted(asyncio.run(main())) == ["refused", "refused", "refused", "served"]
