"""The Redis stream, read by a FastStream batch subscriber with the rules of S7 around it.

What FastStream leaves open and is closed here (docs/decisions/0003-redis-stream.md): the group begins at the
first entry; entries that an earlier process, or a lost connection, left pending are taken before anything
newer, so log order is stream order; behind a full batch the next ones are read while it is stored; a stream or group
that was deleted is made again; trimming goes only up to what is appended; a Redis that is full is drained
first, for it refuses what FastStream starts with.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from faststream.redis import RedisBroker
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from gateway.adapters.stream_entries import RawEntry, order_of, raw_entry
from gateway.adapters.stream_group import BATCH, StreamGroup, is_gone
from gateway.adapters.stream_lease import StreamLease
from gateway.adapters.stream_subscriber import connection, subscribe

__all__ = ["Intake", "RawEntry", "RedisStreamReader"]

_LOGGER = logging.getLogger(__name__)
_CHECK_S = 1.0
_RETRY_S = 0.5
_RETRY_S_MAX = 30.0
_STOP_S = 5.0
_SILENCE_S = 3.0
_AHEAD_MAX = 1

J = TypeVar("J")
_Ahead: TypeAlias = tuple[list[RawEntry], J, anyio.Event]
"""A batch that was read and judged, and what is set once it is stored."""


class Intake(Protocol[J]):
    """Takes batches, in two steps: while one is stored the next one can be judged."""

    def judge(self, batch: Sequence[RawEntry], /) -> J:
        """Say of each entry what is to become of it. Does nothing yet."""
        ...

    async def store(self, judged: J, /) -> None:
        """Return once every entry is in the log or in quarantine."""
        ...


class RedisStreamReader(Generic[J]):
    """Reads one stream as its one active consumer and hands over batches in stream order."""

    def __init__(self, url: str, stream: str, intake: Intake[J], *, owner: str) -> None:
        self._url = url
        self._stream = stream
        self._intake = intake
        self._lock = anyio.Lock()
        self._client: Redis = Redis.from_url(url, health_check_interval=10, **connection())
        self._group = StreamGroup(self._client, stream)
        self._lease = StreamLease(self._client, stream, owner)
        self._ending = False
        self._handling = anyio.CancelScope()
        self._awaited = anyio.Event()
        self._healthy = False
        self._troubled = False
        self._stands_by = False

    @property
    def healthy(self) -> bool:
        """Whether the stream is being read, and Redis owes no answer for longer than 3 s."""
        return self._healthy and not (self._troubled or self._group.silent_s > _SILENCE_S)

    async def run(self) -> None:
        """Read until cancelled. Redis may go, come back, come back empty, or be full."""
        full, wait_s = False, _RETRY_S
        try:
            while True:
                try:
                    if await self._may_read():
                        if full:
                            await self._make_room()
                            full = False
                        await self._read_until_broken()
                    wait_s = _RETRY_S
                except (RedisError, OSError) as error:
                    self._healthy, wait_s = False, _RETRY_S
                    full = isinstance(error, OutOfMemoryError)
                    _LOGGER.warning("Redis is not readable, trying again: %s", error)
                except Exception:
                    # Whatever it is about this batch, deliveries and the API are not to end with it.
                    self._healthy, wait_s = False, min(wait_s * 2, _RETRY_S_MAX)
                    _LOGGER.exception("a batch of the stream was not stored, trying again in %.1f s", wait_s)
                await anyio.sleep(wait_s)
        finally:
            self._healthy = False
            with anyio.move_on_after(_STOP_S, shield=True):
                await self._lease.release()
                await self._client.aclose()

    async def _may_read(self) -> bool:
        with self._group.asking():
            may = await self._lease.hold()
        if not may and not self._stands_by:
            _LOGGER.error(
                "another gateway reads the stream %s; this one stands by until that ends", self._stream
            )
        self._stands_by = not may
        return may

    async def _make_room(self) -> None:
        """Take all that waits, oldest first, with commands that a full Redis does not refuse.

        It refuses XGROUP CREATE even for a group that exists, which FastStream sends whenever it starts: without
        this nothing would ever be read, so nothing trimmed, and it would stay full.
        """
        async with self._lock:
            try:
                full_batch = True
                while full_batch:
                    full_batch = len(await self._group.read_new()) == BATCH
                    # What was read is pending now, behind what was pending before, and behind a batch whose
                    # answer was lost on its way here.
                    await self._drain_own(until=None)
            except RedisError as error:
                if not is_gone(error):
                    raise
                await self._make_room_without_group()

    async def _make_room_without_group(self) -> None:
        """The same where no group keeps a place: from the first entry, each batch deleted once appended."""
        while True:
            items = await self._group.first()
            if not items:
                return
            await self._take([raw_entry(entry_id, fields) for entry_id, fields in items])
            await self._group.delete_until(items[-1][0].decode())

    async def _read_until_broken(self) -> None:
        await self._group.ensure()
        async with self._lock:
            await self._drain_own(until=None)
        broker, subscriber = subscribe(self._url, self._stream)
        # Read and judged, while the batch before it is stored.
        ahead, behind = anyio.create_memory_object_stream[_Ahead[J]](_AHEAD_MAX)
        subscriber(partial(self._on_batch, ahead))
        self._ending = False
        failures: list[Exception] = []
        async with anyio.create_task_group() as group:
            group.start_soon(self._work, behind, failures)
            try:
                await broker.start()
                self._healthy = True
                while subscriber.running and not failures and await self._may_read():
                    await anyio.sleep(_CHECK_S)
                    if not behind.statistics().current_buffer_used:
                        await self._lookafter()
            except Exception as error:  # noqa: BLE001 - raised below: the group would wrap it
                failures.append(error)
            finally:
                self._healthy = False
                await self._end(broker, behind)
                group.cancel_scope.cancel()
        if failures:
            raise failures[0]

    async def _end(self, broker: RedisBroker, behind: MemoryObjectReceiveStream[_Ahead[J]]) -> None:
        """End the subscriber: not in the middle of a batch if that ends soon, so that what is appended is acknowledged.

        A batch that waits longer, for a log that is away, is given up, and so is one that was read ahead; it is still
        pending in Redis and comes again. Left running it would take batches beside the next subscriber, or keep the
        process from ending.
        """
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_STOP_S):
                async with self._lock:
                    self._ending = True
            self._ending = True
            self._handling.cancel()
            behind.close()
            self._awaited.set()
            with anyio.move_on_after(_STOP_S), contextlib.suppress(RedisError, OSError):
                await broker.stop()

    async def _on_batch(
        self,
        ahead: MemoryObjectSendStream[_Ahead[J]],
        message: Any,  # noqa: ANN401 - for a type of its own FastStream would go through a thread
    ) -> None:
        """Judge what was read, and let ``_work`` store it; the next one is read meanwhile."""
        if self._ending:
            return
        raw = message.raw_message
        entries = [
            raw_entry(entry_id, fields)
            for entry_id, fields in zip(raw["message_ids"], raw["data"], strict=True)
        ]
        stored = anyio.Event()
        with contextlib.suppress(anyio.BrokenResourceError):  # the other end is closed at the end
            await ahead.send((entries, self._intake.judge(entries), stored))
            if len(entries) < BATCH:
                # Nothing waits behind it. What comes until it is stored is better one batch than many.
                self._awaited = stored
                await stored.wait()

    async def _work(self, behind: MemoryObjectReceiveStream[_Ahead[J]], failures: list[Exception]) -> None:
        """Store what was read, batch by batch."""
        while True:
            try:
                entries, judged, stored = await behind.receive()
            except anyio.ClosedResourceError:
                return
            async with self._lock:
                if self._ending:
                    return
                # Whoever ends this reader waits for a batch, but not for long: see `_end`.
                with anyio.CancelScope(shield=True) as self._handling:
                    try:
                        await self._store(entries, judged)
                    except Exception as error:  # noqa: BLE001 - the supervisor's to judge
                        failures.append(error)
                        return
            stored.set()

    async def _store(self, entries: Sequence[RawEntry], judged: J) -> None:
        drained = await self._repeat(lambda: self._drain_own(until=entries[0].id))
        await self._intake.store(judged)
        await self._repeat(lambda: self._group.done(entries, trim=drained))

    async def _take(self, entries: Sequence[RawEntry]) -> None:
        await self._intake.store(self._intake.judge(entries))

    async def _lookafter(self) -> None:
        """Between batches: take what a lost connection left behind; fail where stream or group is gone."""
        if self._lock.statistics().locked:
            return
        async with self._lock:
            await self._drain_own(until=None)

    async def _drain_own(self, until: str | None) -> None:
        """Take this consumer's own pending entries that are older than ``until``, oldest first (S7a)."""
        if until is not None and not await self._group.has_own(until):
            return
        while True:
            items = await self._group.read_own()
            entries = [raw_entry(entry_id, fields) for entry_id, fields in items]
            if until is not None:
                entries = [entry for entry in entries if order_of(entry.id) < order_of(until)]
            if not entries:
                return
            # An entry that was deleted from the stream comes back without fields: nothing is left to take. The
            # client makes an empty mapping of that, which no entry has that was added.
            fieldless = {entry_id.decode() for entry_id, fields in items if not fields}
            kept = [entry for entry in entries if entry.id not in fieldless]
            if kept:
                await self._take(kept)
            await self._group.done(entries, trim=True)

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do it again until Redis has it: a worker that raised would leave its batch pending until the next reader.

        False where the group is gone. It needs no acknowledgement: it is made again from the stream's first
        entry, and what was appended already is recognised by source and id.
        """
        while True:
            try:
                await work()
            except (RedisError, OSError) as error:
                if is_gone(error):
                    _LOGGER.warning("the stream's group is gone: %s", error)
                    return False
                # Away, full, read-only after a failover: all of it passes, and the batch waits for that.
                self._troubled = True
                _LOGGER.warning("Redis cannot be used now, the batch waits: %s", error)
                await anyio.sleep(_RETRY_S)
            else:
                self._troubled = False
                return True
