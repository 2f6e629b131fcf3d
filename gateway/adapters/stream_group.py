"""What the gateway asks of a stream as the one consumer of its group: what is new, what is its own, what is done.

Each is a command that Redis answers at once; how long it owes an answer can be looked at from outside.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.adapters.stream_entries import RawEntry, after, items_of, order_of

GROUP: Final = "letta-gateway"
CONSUMER: Final = "ingest"
BATCH: Final = 500
_NO_GROUP: Final = "NOGROUP"

Items: TypeAlias = list[tuple[bytes, Mapping[bytes, bytes] | None]]
"""Ids and fields; one that was deleted from the stream has none."""


class StreamGroup:
    """One stream, its group and its consumer."""

    def __init__(self, client: Redis, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._asked_at: list[float] = []

    @property
    def silent_s(self) -> float:
        """For how many seconds Redis owes an answer.

        A Redis that is frozen keeps its connections: until a command has failed, with all its repetitions, only its
        silence tells.
        """
        return time.monotonic() - min(self._asked_at) if self._asked_at else 0.0

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Around a command that Redis answers at once."""
        asked_at = time.monotonic()
        self._asked_at.append(asked_at)
        try:
            yield
        finally:
            self._asked_at.remove(asked_at)

    async def ensure(self) -> None:
        """Make the group, from the stream's first entry on, and the stream; nothing where they are."""
        try:
            await self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def read_new(self) -> Items:
        """The next batch that nobody has had; it is the consumer's own from then on."""
        return await self._read(">", BATCH)

    async def read_own(self) -> Items:
        """The first batch of what the consumer has had and not acknowledged, oldest first."""
        return await self._read("0", BATCH)

    async def has_own(self, newer_than: str, older_than: str) -> bool:
        """Whether one of them lies between these two: nearly never, so one entry is asked for and not all there are."""
        found = await self._read(newer_than, 1)
        return any(order_of(entry_id.decode()) < order_of(older_than) for entry_id, _ in found)

    async def first(self) -> Items:
        """The stream's first batch, whatever the group says."""
        with self.asking():
            found: Any = await self._client.xrange(self._stream, count=BATCH)
        return list(found or ())

    async def done(self, entries: Sequence[RawEntry], *, trim: bool) -> None:
        """Acknowledge what is appended, and trim the stream behind it, never by length.

        Not where older ones may still wait to be appended: trimming would take them with it.
        """
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.xack(self._stream, GROUP, *[entry.id for entry in entries])
            if trim:
                pipe.xtrim(self._stream, minid=after(entries[-1].id), approximate=True)
            with self.asking():
                await pipe.execute()

    async def delete_until(self, entry_id: str) -> None:
        """Trim the stream behind this entry, exactly."""
        with self.asking():
            await self._client.xtrim(self._stream, minid=after(entry_id), approximate=False)

    async def _read(self, behind: str, count: int) -> Items:
        with self.asking():
            found: Any = await self._client.xreadgroup(GROUP, CONSUMER, {self._stream: behind}, count=count)
        return items_of(found)


def is_gone(error: Exception) -> bool:
    """Whether Redis says that there is no such group, or no such stream."""
    return isinstance(error, ResponseError) and _NO_GROUP in str(error)
