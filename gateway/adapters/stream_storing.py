"""What was read, on its way into the log: stored in stream order, acknowledged behind that, nothing passed over (S7a).

Judging, storing and acknowledging go on beside each other, each batch in its turn. One after the other, every wait
for Redis and for the database would be a turn of an event loop that is busy with deliveries, and those would run dry.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from redis.exceptions import RedisError

from gateway.adapters.stream_entries import RawEntry, order_of, raw_entry
from gateway.adapters.stream_group import StreamGroup, is_gone

_LOGGER = logging.getLogger(__name__)
_RETRY_S = 0.5
_AHEAD_MAX = 1
_UNACKNOWLEDGED_MAX = 4
_BEGINNING: Final = "0-0"

J = TypeVar("J")
T = TypeVar("T")


class Intake(Protocol[J]):
    """Takes batches, in two steps: while one is stored the next one can be judged."""

    def judge(self, batch: Sequence[RawEntry], /) -> J:
        """Say of each entry what is to become of it. Does nothing yet."""
        ...

    async def store(self, judged: J, /) -> None:
        """Return once every entry is in the log or in quarantine."""
        ...


async def take(intake: Intake[J], entries: Sequence[RawEntry]) -> None:
    """Judge and store what nobody else has under way."""
    await intake.store(intake.judge(entries))


async def drain(group: StreamGroup, intake: Intake[J], *, until: str | None = None) -> None:
    """Take what the consumer has had and not acknowledged, older than ``until``, oldest first (S7a)."""
    while True:
        items = await group.read_own()
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
            await take(intake, kept)
        await group.done(entries, trim=True)


@dataclass(slots=True)
class _Batch(Generic[J]):
    """What was read at once. ``behind``: older ones are to be taken first; ``trim``: the stream may end behind it."""

    entries: list[RawEntry]
    judged: J
    behind: bool
    trim: bool
    stored: anyio.Event = field(default_factory=anyio.Event)


class Storing(Generic[J]):
    """Takes batches in the order in which one subscriber reads them; nothing of its consumer's own waits before it."""

    def __init__(self, group: StreamGroup, intake: Intake[J]) -> None:
        self._group = group
        self._intake = intake
        self._read_to = _BEGINNING
        self._ahead: MemoryObjectSendStream[_Batch[J]]
        self._next: MemoryObjectReceiveStream[_Batch[J]]
        self._ahead, self._next = anyio.create_memory_object_stream[_Batch[J]](_AHEAD_MAX)
        self._in_log: deque[_Batch[J]] = deque()
        """What is stored and not acknowledged."""
        self._order = anyio.Lock()
        self._acknowledging = anyio.Lock()
        self._stored = anyio.Event()
        self._under_way = 0
        self._awaited = anyio.Event()
        self._handling = anyio.CancelScope()
        self._ending = False
        self.troubled = False
        """Whether Redis does not take a command just now."""

    async def take(self, entries: list[RawEntry], *, more: bool) -> None:
        """Judge what was read and let it be stored; returns when the next batch is to be read.

        Where ``more`` waits behind it that is at once. Else it is when this one is stored: what comes meanwhile is
        better one batch than many.
        """
        if self._ending:
            return
        self._under_way += 1
        try:
            missed = await self._answered(lambda: self._has_missed(entries[0].id))
            judged = self._intake.judge(entries)
        except BaseException:
            self._under_way -= 1
            raise
        self._read_to = entries[-1].id
        batch = _Batch(entries, judged, behind=missed is True, trim=missed is not None)
        with contextlib.suppress(anyio.BrokenResourceError):  # the other end is closed at the end
            await self._ahead.send(batch)
            if not (more or self._ending):
                self._awaited = batch.stored
                await batch.stored.wait()

    async def store(self) -> None:
        """Store what was read, batch by batch, until it is ended; raises what storing raises."""
        while True:
            try:
                batch = await self._next.receive()
            except anyio.ClosedResourceError:
                return
            async with self._order:
                if self._ending:
                    return
                # Whoever ends this waits for a batch, but not for long: see `end`.
                with anyio.CancelScope(shield=True) as self._handling:
                    await self._store(batch)
            batch.stored.set()
            self._stored.set()
            if len(self._in_log) > _UNACKNOWLEDGED_MAX:
                await self._acknowledge()

    async def acknowledge(self) -> None:
        """Tell Redis of what is stored, until cancelled."""
        while True:
            await self._stored.wait()
            self._stored = anyio.Event()
            await self._acknowledge()

    async def look(self) -> None:
        """Between batches: take what a lost connection left behind; fail where stream or group is gone."""
        if self._under_way or self._order.statistics().locked:
            return
        async with self._order:
            await drain(self._group, self._intake)

    async def end(self, within_s: float) -> None:
        """Take no more: not in the middle of a batch if that ends soon, so that what is stored is acknowledged.

        A batch that waits longer, for a log that is away, is given up, and so is one that was read ahead; it is still
        pending in Redis and comes again. Left running it would be taken beside the next reader's, or keep the
        process from ending.
        """
        with anyio.move_on_after(within_s):
            async with self._order:
                self._ending = True
            await self._acknowledge()
        self._ending = True
        self._handling.cancel()
        self._next.close()
        self._awaited.set()

    async def _store(self, batch: _Batch[J]) -> None:
        if batch.behind:
            # What is in the log and not acknowledged yet is its own, too.
            await self._acknowledge()
            if await self._answered(lambda: self._drained(batch.entries[0].id)) is None:
                batch.trim = False
        await self._intake.store(batch.judged)
        self._in_log.append(batch)

    async def _acknowledge(self) -> None:
        """Acknowledge all that is stored, in order."""
        async with self._acknowledging:
            while self._in_log:
                await self._answered(partial(self._done, self._in_log[0]))
                self._in_log.popleft()
                self._under_way -= 1

    async def _has_missed(self, until: str) -> bool:
        """Whether the consumer was given something between the batch before and this one: its answer was lost."""
        after = self._read_to if order_of(self._read_to) < order_of(until) else _BEGINNING
        return await self._group.has_own(after, until)

    async def _drained(self, until: str) -> bool:
        await drain(self._group, self._intake, until=until)
        return True

    async def _done(self, batch: _Batch[J]) -> None:
        await self._group.done(batch.entries, trim=batch.trim)

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Ask again until Redis answers: whoever raised would leave its batch pending until the next reader.

        None where the group is gone, or this one ends. It needs no acknowledgement: it is made again from the
        stream's first entry, and what was appended already is recognised by source and id.
        """
        while True:
            try:
                answer = await ask()
            except (RedisError, OSError) as error:
                if is_gone(error):
                    _LOGGER.warning("the stream's group is gone: %s", error)
                    return None
                # Away, full, read-only after a failover: all of it passes, and the batch waits for that.
                self.troubled = True
                _LOGGER.warning("Redis cannot be used now, the batch waits: %s", error)
                if self._ending:
                    return None
                await anyio.sleep(_RETRY_S)
            else:
                self.troubled = False
                return answer
