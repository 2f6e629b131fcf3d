"""The end of the log, read once for all who follow it: pull streams, and whoever watches (S10b).

A follower costs an append one wake and a look at rows in memory, never a read of its own. Where another process
appends, nobody says so: then the log is looked at once a second, once for all followers, and only while there are any.
"""

import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

import anyio

from gateway.deliver.envelopes import Event, event_of
from gateway.deliver.patience import patiently
from gateway.deliver.signal import Signal
from gateway.errors import Archived
from gateway.ports import EventLog

ROWS = 200
"""Rows that are read at a time, at most."""

KEPT_ROWS_MAX = 2_000
KEPT_BYTES_MAX = 16 * 1024 * 1024
LOOK_S = 1.0
_HELD_UP = "the end of the log cannot be read"
_SCANS = 2
"""Reads of followers that are further back, at once: the database is left to the others."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in log order, without a gap; ``last``: behind them there was nothing more."""

    events: Sequence[Event]
    last: bool


class Tail:
    """The rows most lately appended, in memory while somebody follows, and the wake-up call for more.

    Args:
        log: The log.
        look_s: Seconds between looks at a log that nobody said had grown.
        rows_max: Rows kept in memory.
        bytes_max: Bytes of envelopes kept in memory.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        look_s: float = LOOK_S,
        rows_max: int = KEPT_ROWS_MAX,
        bytes_max: int = KEPT_BYTES_MAX,
    ) -> None:
        self._log = log
        self._look_s = look_s
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._kept: deque[Event] = deque()
        self._bytes = 0
        self._end = 0
        self._forgotten = 0
        self._grown = anyio.Event()
        self._wanted = Signal()
        self._scans = anyio.Semaphore(_SCANS)
        self.followers = 0
        self.stopped = False

    def appended(self) -> None:
        """The log has grown."""
        self._wanted.set()

    def forget(self) -> None:
        """Drop what is in memory: envelopes were erased (S8b)."""
        self._kept.clear()
        self._bytes = 0
        self._forgotten += 1

    def stop(self) -> None:
        """The process ends: whoever waits is to finish at once, and nobody waits any more."""
        self.stopped = True
        self._tell()

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """While it is open, the end of the log is kept in memory."""
        self.followers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self.followers -= 1

    async def wait_beyond(self, position: int, at_most_s: float) -> bool:
        """Until the log has a row behind ``position``; False where the time is over, or the process ends, first.

        To be called while ``following``.
        """
        with anyio.move_on_after(at_most_s):
            while self._end <= position and not self.stopped:
                await self._grown.wait()
        return self._end > position and not self.stopped

    @contextlib.asynccontextmanager
    async def rows(self, after: int, at_most: int, *, follows: bool) -> AsyncIterator[Rows]:
        """The rows that follow ``after``, or the first of them: up to ``at_most``, or ``ROWS``. Raises ``Unavailable``.

        A caller that ``follows``, having come to the end before, is told what memory has: more will wake it.
        Another one is told what the log has now, so that it reads what it has written. Rows that come from the
        log hold one of few places until they are given back.
        """
        kept = self._from_memory(after)
        if kept or (follows and after >= self._end):
            yield Rows(kept, last=not kept)
            return
        async with self._scans:
            limit = min(at_most, ROWS)
            entries = await self._log.read(after, limit)
            if entries and entries[-1].position != after + len(entries):
                await self._check_present(after + 1, entries[-1].position)
            yield Rows([event_of(entry) for entry in entries], last=len(entries) < limit)

    async def ends_before(self, position: int) -> int | None:
        """Where the log ends, if that is before ``position``; None: the position is in it. Raises ``Unavailable``."""
        if position <= self._end:
            return None
        head = (await self._log.head()).position
        return head if head < position else None

    async def _check_present(self, first: int, last: int) -> None:
        """Rows are missing. Raises ``Archived`` where they were archived since a reader came to them (S8)."""
        found = await self._log.absent(first, last)
        if found is not None:
            raise Archived(f"Positions {found[0]} to {found[1]} were archived.")

    async def run(self) -> None:
        """Follow the log until cancelled, while others follow."""
        while True:
            await self._followed()
            while self.followers:
                more = await self._read_on()
                if not more:
                    await self._wanted.wait(self._look_s)

    async def _followed(self) -> None:
        """Until there is a follower; then begin where the log ends: what is further back is not of the end."""
        self.forget()
        while not self.followers:
            await self._wanted.wait(self._look_s)
        self._end = (await patiently(self._log.head, _HELD_UP)).position
        self._tell()

    async def _read_on(self) -> bool:
        """Take in what was appended; whether there may be more."""
        forgotten = self._forgotten
        entries = await patiently(lambda: self._log.read(self._end, ROWS), _HELD_UP)
        if forgotten != self._forgotten:
            return True  # what was read may have been erased since
        for entry in entries:
            self._keep(event_of(entry))
        if entries:
            self._end = entries[-1].position
            self._tell()
        return len(entries) == ROWS

    def _keep(self, event: Event) -> None:
        if self._kept and event.entry.position != self._kept[-1].entry.position + 1:
            self.forget()
        self._kept.append(event)
        self._bytes += _size(event)
        while len(self._kept) > self._rows_max or (self._bytes > self._bytes_max and len(self._kept) > 1):
            self._bytes -= _size(self._kept.popleft())

    def _from_memory(self, after: int) -> Sequence[Event]:
        """The rows behind a position that is at most as far back as memory goes."""
        if not self._kept:
            return ()
        first = self._kept[0].entry.position
        if not first - 1 <= after < self._end:
            return ()
        # Positions have no gaps, so a position says where in memory its row is.
        begin = after + 1 - first
        return tuple(itertools.islice(self._kept, begin, begin + ROWS))

    def _tell(self) -> None:
        self._grown.set()
        self._grown = anyio.Event()


def _size(event: Event) -> int:
    return len(event.entry.envelope or b"")
