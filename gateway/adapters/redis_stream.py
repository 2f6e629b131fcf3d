"""The Redis stream, read by a FastStream batch subscriber with the rules of S7 around it.

What FastStream leaves open and is closed here (docs/decisions/0003-redis-stream.md): the group begins at the
first entry; entries that an earlier process, or a lost connection, left pending are taken before anything
newer, so log order is stream order; behind a full batch the next ones are read while it is stored; a stream or group
that was deleted is made again; trimming goes only up to what is appended; a Redis that is full is drained
first, for it refuses what FastStream starts with.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, TypeVar

import anyio
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from gateway.adapters.stream_entries import RawEntry, flat_answer, flat_entry, raw_entry
from gateway.adapters.stream_group import BATCH, StreamGroup, is_gone
from gateway.adapters.stream_lease import StreamLease
from gateway.adapters.stream_storing import Intake, Storing, drain, take
from gateway.adapters.stream_subscriber import connection, subscribe

__all__ = ["Intake", "RawEntry", "RedisStreamReader"]

_LOGGER = logging.getLogger(__name__)
_CHECK_S = 1.0
_RETRY_S = 0.5
_RETRY_S_MAX = 30.0
_STOP_S = 5.0
_SILENCE_S = 3.0

J = TypeVar("J")


class RedisStreamReader(Generic[J]):
    """Reads one stream as its one active consumer and hands over batches in stream order."""

    def __init__(self, url: str, stream: str, intake: Intake[J], *, owner: str) -> None:
        self._url = url
        self._stream = stream
        self._intake = intake
        self._client: Redis = Redis.from_url(url, health_check_interval=10, **connection())
        self._group = StreamGroup(self._client, stream)
        self._lease = StreamLease(self._client, stream, owner)
        self._storing: Storing[J] | None = None
        self._healthy = False
        self._stands_by = False

    @property
    def healthy(self) -> bool:
        """Whether the stream is being read, and Redis owes no answer for longer than 3 s."""
        troubled = self._storing is not None and self._storing.troubled
        return self._healthy and not (troubled or self._group.silent_s > _SILENCE_S)

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
        try:
            full_batch = True
            while full_batch:
                full_batch = len(await self._group.read_new()) == BATCH
                # What was read is pending now, behind what was pending before, and behind a batch whose
                # answer was lost on its way here.
                await drain(self._group, self._intake)
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
            await take(self._intake, [raw_entry(entry_id, fields) for entry_id, fields in items])
            await self._group.delete_until(items[-1][0].decode())

    async def _read_until_broken(self) -> None:
        await self._group.ensure()
        await drain(self._group, self._intake)
        broker, subscriber = subscribe(self._url, self._stream)
        storing = Storing(self._group, self._intake)
        subscriber(partial(_on_batch, storing))
        failures: list[Exception] = []

        async def go_on(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - raised below: the group would wrap it
                failures.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(go_on, storing.store)
            group.start_soon(go_on, storing.acknowledge)
            try:
                self._storing = storing
                client = await broker.connect()
                client.set_response_callback("XREADGROUP", flat_answer)
                await broker.start()
                self._healthy = True
                while subscriber.running and not failures and await self._may_read():
                    await anyio.sleep(_CHECK_S)
                    await storing.look()
            except Exception as error:  # noqa: BLE001 - likewise
                failures.append(error)
            finally:
                self._healthy, self._storing = False, None
                with anyio.CancelScope(shield=True):
                    await storing.end(_STOP_S)
                    with anyio.move_on_after(_STOP_S), contextlib.suppress(RedisError, OSError):
                        await broker.stop()
                group.cancel_scope.cancel()
        if failures:
            raise failures[0]


async def _on_batch(
    storing: Storing[J],
    message: Any,  # noqa: ANN401 - for a type of its own FastStream would go through a thread
) -> None:
    """Hand over what was read; the next one is read when this returns."""
    raw = message.raw_message
    entries = [
        flat_entry(entry_id, fields) for entry_id, fields in zip(raw["message_ids"], raw["data"], strict=True)
    ]
    await storing.take(entries, more=len(entries) == BATCH)
