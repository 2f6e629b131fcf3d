"""The reader of the Redis stream, on a real one: S7a, and what Redis can do to it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio
import pytest
from faststream.redis import RedisBroker
from redis.asyncio import Redis

from gateway.adapters.redis_stream import RawEntry, RedisStreamReader
from gateway.adapters.stream_group import StreamGroup
from gateway.adapters.stream_storing import Storing

STREAM = "letta.events"
GROUP, CONSUMER = "letta-gateway", "ingest"
WITHIN_S = 15.0


class Taken:
    """What the reader handed over; it waits in front of the gate, as for a storage that is away."""

    def __init__(self) -> None:
        self.entries: list[RawEntry] = []
        self.started: list[RawEntry] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.poisoned = 0

    def judge(self, batch: Sequence[RawEntry]) -> Sequence[RawEntry]:
        return batch

    async def store(self, batch: Sequence[RawEntry]) -> None:
        self.started += batch
        if self.poisoned:
            self.poisoned -= 1
            raise RuntimeError("neither the log nor the quarantine takes it")
        await self.gate.wait()
        self.entries += batch

    @property
    def events(self) -> list[str]:
        return [entry.event.decode() for entry in self.entries if entry.event is not None]

    @property
    def different(self) -> list[str]:
        """As the log would keep them: the first of each, in order."""
        return list(dict.fromkeys(self.events))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def reading(url: str, take: Taken) -> AsyncIterator[RedisStreamReader]:
    reader = RedisStreamReader(url, STREAM, take, owner="test")
    # A cancel scope, as in the gateway: it goes on cancelling where a client library swallows one cancellation.
    async with anyio.create_task_group() as group:
        group.start_soon(reader.run)
        yield reader
        group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def storing(redis: Any, take: Taken) -> AsyncIterator[Storing[Any]]:
    """What stands behind a reader, without one: batches are handed over by the test."""
    stage = Storing(StreamGroup(redis, STREAM), take)
    async with anyio.create_task_group() as group:
        group.start_soon(stage.store)
        group.start_soon(stage.acknowledge)
        yield stage
        group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def client(url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(url) as made:
        yield made


async def add(redis: Any, *names: str) -> list[str]:
    return [(await redis.xadd(STREAM, {"event": name})).decode() for name in names]


async def pending(redis: Any) -> int:
    return int((await redis.xpending(STREAM, GROUP))["pending"])


async def until_settled(redis: Any, left: int = 0) -> None:
    """Acknowledged and trimmed: the entries themselves are gone but for what trimming leaves of a node."""
    async with asyncio.timeout(WITHIN_S):
        while await pending(redis) != left:
            await asyncio.sleep(0.01)


def test_what_was_published_before_the_first_start_is_read(valkey: Any) -> None:
    async def main() -> None:
        async with client(valkey.url) as redis:
            await add(redis, "a", "b")
            taken = Taken()
            async with reading(valkey.url, taken) as reader:
                await until(lambda: taken.events == ["a", "b"])
                await until(lambda: reader.healthy)
                await add(redis, "c")
                await until(lambda: taken.events == ["a", "b", "c"])
                await until_settled(redis)

    asyncio.run(main())


def test_faststream_frames_plain_fields_and_what_is_no_event(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        cloudevent = json.dumps(
            {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": "text"}
        )
        async with client(valkey.url) as redis, RedisBroker(valkey.url) as broker:
            await broker.publish(cloudevent, stream=STREAM, headers={"a": "b"})
            await redis.xadd(STREAM, {"whatever": cloudevent})
            await redis.xadd(STREAM, {"other": "1", "cloudevent": cloudevent})
            await redis.xadd(STREAM, {"__data__": b"\x89BIN\x0d\x0a\x1a\x0a" + bytes(range(256))})
            await redis.xadd(STREAM, {"one": b"\xff", "two": "2"})
            await redis.xadd(STREAM, {f"field{index}": "x" for index in range(5_000)})
            await redis.xadd(STREAM, {"event": ""})
            async with reading(valkey.url, taken):
                await until(lambda: len(taken.entries) == 7)
        framed, plain, named, broken, two, many, empty = taken.entries
        assert [framed.event, plain.event, named.event] == [cloudevent.encode()] * 3
        assert broken.event is not None
        assert (two.event, json.loads(two.raw)) == (None, {"one": "\\xff", "two": "2"})
        assert many.event is None
        assert len(json.loads(many.raw)) == 5_000
        assert empty.event == b""

    asyncio.run(main())


def test_s7a_what_an_earlier_process_left_comes_before_anything_newer(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            await add(redis, *(f"left-{index}" for index in range(700)))
            await redis.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=700)
            await add(redis, "new-1", "new-2")
            async with reading(valkey.url, taken):
                await until(lambda: len(taken.events) == 702)
            assert taken.events == [f"left-{index}" for index in range(700)] + ["new-1", "new-2"]

    asyncio.run(main())


def test_s7a_a_batch_is_acknowledged_only_after_it_is_durable(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        taken.gate.clear()
        async with client(valkey.url) as redis:
            await add(redis, "a", "b")
            async with reading(valkey.url, taken):
                await until(lambda: bool(taken.started))
                assert await pending(redis) >= 1
            # That process ended while the log was away; the next one takes the same.
            taken.gate.set()
            async with reading(valkey.url, taken):
                await until(lambda: taken.different == ["a", "b"])
                await until_settled(redis)

    asyncio.run(main())


def test_an_entry_that_was_deleted_while_it_was_pending_is_no_bad_event(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            ids = await add(redis, "a", "b", "c")
            await redis.xreadgroup(GROUP, CONSUMER, {STREAM: ">"})
            await redis.xdel(STREAM, ids[1])
            async with reading(valkey.url, taken):
                await until(lambda: len(taken.entries) >= 2)
                await until_settled(redis)
            assert taken.events == ["a", "c"]
            assert len(taken.entries) == 2

    asyncio.run(main())


@pytest.mark.parametrize("break_", ["stop", "kill", "wipe"])
def test_redis_goes_and_comes_back(valkey: Any, break_: str) -> None:
    async def main() -> None:
        taken = Taken()
        async with reading(valkey.url, taken) as reader:
            async with client(valkey.url) as redis:
                await add(redis, "a")
                await until(lambda: taken.events == ["a"])
            valkey.stop() if break_ == "stop" else valkey.kill()
            if break_ == "wipe":
                valkey.wipe()
            await until(lambda: not reader.healthy)
            valkey.start()
            async with client(valkey.url) as redis:
                await add(redis, "b")
                await until(lambda: taken.different == ["a", "b"])
            await until(lambda: reader.healthy)

    asyncio.run(main())


def test_redis_is_not_there_yet(make_valkey: Any) -> None:
    async def main() -> None:
        taken, valkey = Taken(), make_valkey()
        async with reading(valkey.url, taken) as reader:
            await asyncio.sleep(0.2)
            assert not reader.healthy
            valkey.start()
            async with client(valkey.url) as redis:
                await add(redis, "a")
                await until(lambda: taken.events == ["a"])

    asyncio.run(main())


@pytest.mark.parametrize("command", ["FLUSHALL", "DEL letta.events", f"XGROUP DESTROY letta.events {GROUP}"])
def test_the_stream_or_its_group_is_deleted(valkey: Any, command: str) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis, reading(valkey.url, taken):
            await add(redis, "a")
            await until(lambda: taken.events == ["a"])
            await redis.execute_command(*command.split())
            await add(redis, "b")
            await until(lambda: "b" in taken.events)
            await add(redis, "c")
            await until(lambda: taken.different == ["a", "b", "c"])

    asyncio.run(main())


def test_the_group_is_deleted_while_older_entries_are_not_appended_yet(valkey: Any) -> None:
    """They must not be trimmed away with what is newer: the group is made again from the first entry."""

    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            await add(redis, *(f"older-{index}" for index in range(300)))
            await redis.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=300)
            (newest,) = await add(redis, "newest")
            await redis.xgroup_destroy(STREAM, GROUP)
            async with storing(redis, taken) as stage:
                await stage.take([RawEntry(newest, b"newest", b"newest")], more=False)
                assert taken.events == ["newest"]
                await stage.end(WITHIN_S)
            async with reading(valkey.url, taken):
                await until(lambda: len(taken.different) == 301)

    asyncio.run(main())


async def deliver(redis: Any, count: int) -> list[RawEntry]:
    """Have the group give its consumer so many new ones, as FastStream would be given them."""
    found = await redis.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=count)
    items = found[STREAM.encode()][0] if isinstance(found, dict) else found[0][1]
    return [RawEntry(entry_id.decode(), fields[b"event"], b"") for entry_id, fields in items]


def test_s7a_what_was_read_and_got_lost_on_its_way_comes_before_what_was_read_next(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis, storing(redis, taken) as stage:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            await add(redis, *(f"e{index}" for index in range(6)))
            first, _lost, third = [await deliver(redis, 2) for _ in range(3)]
            await stage.take(first, more=True)
            await stage.take(third, more=False)
            assert taken.events == [f"e{index}" for index in range(6)]
            await until_settled(redis)

    asyncio.run(main())


def test_s7a_the_next_batch_is_stored_before_the_one_before_it_is_acknowledged(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis, storing(redis, taken) as stage:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            await add(redis, *(f"e{index}" for index in range(4)))
            first, second = [await deliver(redis, 2) for _ in range(2)]
            async with stage._acknowledging:
                await stage.take(first, more=False)
                await stage.take(second, more=False)
                assert taken.events == [f"e{index}" for index in range(4)]
                assert await pending(redis) == 4
            await until_settled(redis)

    asyncio.run(main())


def test_s7a_what_is_stored_is_acknowledged_before_the_end(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            await add(redis, "a", "b")
            stage = Storing(StreamGroup(redis, STREAM), taken)
            async with anyio.create_task_group() as group:
                group.start_soon(stage.store)  # and nothing that acknowledges beside it
                await stage.take(await deliver(redis, 2), more=False)
                assert await pending(redis) == 2
                await stage.end(WITHIN_S)
            assert await pending(redis) == 0

    asyncio.run(main())


def test_trimming_goes_up_to_what_is_appended_and_no_further(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis:
            async with reading(valkey.url, taken):
                await add(redis, *(f"e{index}" for index in range(1_500)))
                await until(lambda: len(taken.events) == 1_500)
                await until_settled(redis)
                async with asyncio.timeout(WITHIN_S):
                    while await redis.xlen(STREAM) > 200:
                        await asyncio.sleep(0.01)
            await add(redis, "kept")
            assert (await redis.xrevrange(STREAM, count=1))[0][1] == {b"event": b"kept"}

    asyncio.run(main())


def test_a_batch_that_cannot_be_stored_ends_nothing_and_is_tried_again(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        taken.poisoned = 2
        async with client(valkey.url) as redis, reading(valkey.url, taken) as reader:
            await add(redis, "a", "b")
            await until(lambda: taken.different == ["a", "b"])
            await until(lambda: reader.healthy)
            await until_settled(redis)

    asyncio.run(main())


def test_one_that_lost_the_stream_to_another_while_a_batch_was_stored_is_not_healthy(valkey: Any) -> None:
    async def main() -> None:
        taken = Taken()
        async with client(valkey.url) as redis, reading(valkey.url, taken) as reader:
            await until(lambda: reader.healthy)
            taken.gate.clear()
            await add(redis, "a")
            await until(lambda: bool(taken.started))
            await redis.set(f"{STREAM}:reader", "another")
            await until(lambda: not reader.healthy)
            taken.gate.set()
            await until(lambda: taken.events == ["a"])
            await until_settled(redis)
            await until(lambda: reader._stands_by)
            assert not reader.healthy
            await redis.delete(f"{STREAM}:reader")
            await until(lambda: reader.healthy)

    asyncio.run(main())
