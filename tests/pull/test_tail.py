"""The end of the log is read once for all who follow it, at once when told of an append, and never by nobody."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.adapters.memory import MemoryLog, MemoryStore
from gateway.deliver.tail import ROWS, Tail
from gateway.ports import Entry, Head, NewEntry
from schemas import build

FOREVER_S = 1e6


class CountingLog(MemoryLog):
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.store = MemoryStore(now=lambda: 1, random=random.Random(1).randbytes)
        super().__init__(self.store)
        self.reads: list[int] = []
        self.heads = 0

    async def read(self, after: int, limit: int) -> Sequence[Entry]:
        self.reads.append(after)
        await asyncio.sleep(0)
        return await super().read(after, limit)

    async def head(self) -> Head:
        self.heads += 1
        return await super().head()

    async def add(self, count: int, size: int = 1) -> None:
        entries = []
        for _ in range(count):
            attributes = {"specversion": "1.0", "id": f"{random.random()}", "source": "/t", "type": "t"}
            raw = build(attributes, "x" * size).raw
            entries.append(NewEntry("t", "/t", attributes["id"], raw))
        await self.append(entries)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


@contextlib.asynccontextmanager
async def followed(tail: Tail) -> AsyncIterator[None]:
    task = asyncio.create_task(tail.run())
    try:
        yield
    finally:
        task.cancel()


async def positions(tail: Tail, after: int, *, follows: bool = True) -> list[int]:
    async with tail.rows(after, 1_000, follows=follows) as rows:
        return [event.entry.position for event in rows.events]


async def settled() -> None:
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_an_append_wakes_all_and_is_read_once() -> None:
    async def main() -> None:
        log = CountingLog()
        tail = Tail(log, look_s=FOREVER_S)
        got: list[list[int]] = []

        async def follow() -> None:
            with tail.following():
                assert await tail.wait_beyond(0, FOREVER_S)
                got.append(await positions(tail, 0))

        async with followed(tail), asyncio.TaskGroup() as group:
            for _ in range(200):
                group.create_task(follow())
            await settled()
            assert tail.followers == 200
            log.reads.clear()
            await log.add(3)
            tail.appended()
        assert got == [[1, 2, 3]] * 200
        assert len(log.reads) <= 2

    run(main)


def test_where_nobody_says_so_it_looks_once_a_second_for_all() -> None:
    """As in a process that only serves the API: another one appends."""

    async def main() -> None:
        log = CountingLog()
        tail = Tail(log, look_s=0.01)
        async with followed(tail):
            with tail.following():
                waiting = [asyncio.create_task(tail.wait_beyond(0, FOREVER_S)) for _ in range(50)]
                await settled()
                before = len(log.reads)
                await log.add(1)
                assert all(await asyncio.gather(*waiting))
                assert len(log.reads) - before < 50

    run(main)


def test_nobody_follows_and_nothing_is_read() -> None:
    async def main() -> None:
        log = CountingLog()
        tail = Tail(log, look_s=0.001)
        async with followed(tail):
            for _ in range(20):
                await log.add(1)
                tail.appended()
                await asyncio.sleep(0.001)
        assert (log.reads, log.heads) == ([], 0)

    run(main)


def test_it_begins_again_at_the_end_after_a_time_without_followers() -> None:
    async def main() -> None:
        log = CountingLog()
        tail = Tail(log, look_s=FOREVER_S)
        async with followed(tail):
            for _ in range(2):
                with tail.following():
                    await settled()
                    end = (await log.head()).position
                    await log.add(1)
                    tail.appended()
                    assert await tail.wait_beyond(end, FOREVER_S)
                    log.reads.clear()
                    assert await positions(tail, end) == [end + 1]
                    assert log.reads == []
                tail.appended()
                await settled()
                await log.add(2 * ROWS)
                tail.appended()
                await settled()
                assert not tail._kept

    run(main)


def test_what_is_further_back_than_memory_comes_from_the_log() -> None:
    async def main() -> None:
        log = CountingLog()
        tail = Tail(log, look_s=FOREVER_S, rows_max=10)
        async with followed(tail):
            with tail.following():
                await settled()
                for end in (30, 60):
                    await log.add(30)
                    tail.appended()
                    while tail._end < end:
                        await tail.wait_beyond(tail._end, FOREVER_S)
                assert len(tail._kept) == 10
                log.reads.clear()
                assert await positions(tail, 50) == list(range(51, 61))
                assert log.reads == []
                assert await positions(tail, 49) == list(range(50, 61))
                assert log.reads == [49]
                assert await positions(tail, 60) == []
                assert log.reads == [49]
                # Whoever has not come to the end before is told what the log has.
                assert await positions(tail, 60, follows=False) == []
                assert log.reads == [49, 60]

    run(main)


def test_memory_is_bounded_in_bytes() -> None:
    async def main() -> None:
        log = CountingLog()
        tail = Tail(log, look_s=FOREVER_S, bytes_max=10_000)
        async with followed(tail):
            with tail.following():
                await settled()
                for number in range(1, 41):
                    await log.add(1, size=1_000)
                    tail.appended()
                    assert await tail.wait_beyond(number - 1, FOREVER_S)
                    assert sum(len(event.entry.envelope or b"") for event in tail._kept) <= 10_000
                await log.add(1, size=50_000)
                tail.appended()
                await tail.wait_beyond(40, FOREVER_S)
                assert await positions(tail, 40) == [41]
                tail.forget()
                assert tail._bytes == 0

    run(main)


def test_s8b_what_was_read_before_it_was_erased_is_not_kept() -> None:
    async def main() -> None:
        log = CountingLog()
        tail = Tail(log, look_s=FOREVER_S)
        async with followed(tail):
            with tail.following():
                await settled()
                read, reading, erased = log.read, asyncio.Event(), asyncio.Event()

                async def held(after: int, limit: int) -> Any:
                    found = await read(after, limit)
                    reading.set()
                    await erased.wait()
                    return found

                log.read = held  # type: ignore[method-assign]
                await log.add(1)
                tail.appended()
                await reading.wait()
                [row] = log.store.rows
                log.store.rows[:] = [replace(row, entry=replace(row.entry, envelope=None))]
                tail.forget()
                erased.set()
                assert await tail.wait_beyond(0, FOREVER_S)
                assert [event.envelope for event in tail._kept] == [None]

    run(main)


def test_the_end_of_the_process_ends_every_wait_and_the_next_ones() -> None:
    async def main() -> None:
        tail = Tail(CountingLog(), look_s=FOREVER_S)
        async with followed(tail):
            with tail.following():
                waiting = [asyncio.create_task(tail.wait_beyond(0, FOREVER_S)) for _ in range(3)]
                await settled()
                tail.stop()
                assert await asyncio.gather(*waiting) == [False] * 3
                assert not await tail.wait_beyond(0, FOREVER_S)

    run(main)


@pytest.mark.parametrize(("position", "end"), [(0, None), (3, None), (4, 3), (10**15, 3)])
def test_s3a_a_position_that_the_log_has_not_come_to(position: int, end: int | None) -> None:
    async def main() -> None:
        log = CountingLog()
        await log.add(3)
        assert await Tail(log).ends_before(position) == end

    run(main)
