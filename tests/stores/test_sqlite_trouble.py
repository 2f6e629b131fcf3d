"""A disk that is full, a file that is no database, and many writers at once."""

import asyncio
from pathlib import Path

import pytest

from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.sqlite import SqliteDatabase
from gateway.adapters.sql.verify import verify_log
from gateway.domain.pending import PendingDelivery
from gateway.errors import DatabaseUnusable, Unavailable
from gateway.ports import CursorUpdate, JournalBatch, NewEntry


def entries(first: int, count: int, size_bytes: int = 2) -> list[NewEntry]:
    return [
        NewEntry(type="t", source="/s", id=str(first + n), envelope=b"x" * size_bytes) for n in range(count)
    ]


def limit_pages(stores, pages: int) -> None:
    """SQLite's own measure of a full disk: the same error, by the same way."""
    stores.sql(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_is_unavailable_and_leaves_nothing_half(sqlite_stores):
    log = sqlite_stores.log
    sqlite_stores.run(log.append(entries(0, 10)))
    limit_pages(sqlite_stores, 1)  # no more than there are
    with pytest.raises(Unavailable, match="full"):
        sqlite_stores.run(log.append(entries(10, 200, 10_000)))
    batch = JournalBatch((), [PendingDelivery(1, 1)], (), [CursorUpdate(1, 1, live=True)], 1)
    sqlite_stores.run(sqlite_stores.deliveries.commit(batch))  # there is room for this in its pages
    assert sqlite_stores.run(log.head()).position == 10
    limit_pages(sqlite_stores, 1_000_000)
    appended = sqlite_stores.run(log.append(entries(10, 200, 10_000)))
    assert [item.position for item in appended] == list(range(11, 211))
    assert sqlite_stores.run(verify_log(sqlite_stores.database)).ok


@pytest.mark.parametrize(
    "content", [b"this is no database", bytes(4096), b"SQLite format 3\0" + bytes(5_000)]
)
def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path, content: bytes):
    path = tmp_path / "gateway.db"
    path.write_bytes(content)
    database = SqliteDatabase(path)
    try:
        with pytest.raises(DatabaseUnusable, match=r"gateway\.db"):
            asyncio.run(upgrade(database))
    finally:
        database.close_now()


def test_s7d_positions_are_gapless_and_readers_see_them_in_order_under_concurrent_appends(stores):
    async def main() -> None:
        log, seen, ended = stores.log, 0, False

        async def append(writer: int) -> list[int]:
            positions = []
            for index in range(15):
                appended = await log.append(entries(writer * 10_000 + index * 10, 1 + index % 4))
                positions += [item.position for item in appended]
            return positions

        async def follow() -> None:
            nonlocal seen
            while not ended or seen < (await log.head()).position:
                for entry in await log.read(seen, 50):
                    assert entry.position == seen + 1
                    seen = entry.position
                await asyncio.sleep(0)  # memory never lets anybody else go on by itself

        following = asyncio.create_task(follow())
        written = await asyncio.gather(*(append(writer) for writer in range(8)))
        ended = True
        await following
        assert sorted(position for positions in written for position in positions) == list(range(1, seen + 1))

    stores.run(main())
