"""The cache of parsed envelopes: queues hold positions, the events themselves sit here, bounded in bytes (S2g)."""

from collections import OrderedDict

from gateway.domain.dialects import text_of
from gateway.ports import Entry, Event, EventLog
from schemas import Envelope, parse_structured

__all__ = ["BYTES_MAX", "EnvelopeCache", "Event", "event_of", "partition_key"]

BYTES_MAX = 64 * 1024 * 1024
_OWN_BYTES = 2_000


def event_of(entry: Entry) -> Event:
    """Read an entry's envelope. What is in the log was checked at the door, so this cannot fail on it."""
    return Event(entry, None if entry.envelope is None else parse_structured(entry.envelope))


def partition_key(envelope: Envelope) -> str | None:
    """What the event is ordered by (S4); None: it stands in no order."""
    key = envelope.attributes.get("partitionkey")
    return key if key is None or type(key) is str else text_of(key)


class EnvelopeCache:
    """The events most lately read, by position."""

    def __init__(self, log: EventLog, bytes_max: int = BYTES_MAX) -> None:
        self._log = log
        self._bytes_max = bytes_max
        self._bytes = 0
        self._events: OrderedDict[int, Event] = OrderedDict()
        self.forgotten = 0
        """How often something was erased: whoever waited meanwhile is to read again what it had read."""
        self._withheld_until = 0

    def put(self, event: Event) -> None:
        """Keep an event, and drop the oldest where the bound is reached."""
        position = event.entry.position
        if position in self._events or position <= self._withheld_until:
            return
        self._events[position] = event
        self._bytes += 3 * len(event.entry.envelope or b"") + _OWN_BYTES  # as `_size`, for every event
        while self._bytes > self._bytes_max and len(self._events) > 1:
            _, dropped = self._events.popitem(last=False)
            self._bytes -= _size(dropped)

    def following(self, after: int, limit: int) -> list[Event]:
        """What is here without a gap behind a position: a scan need not read that from the log."""
        events: list[Event] = []
        event = self._events.get(after + 1)
        while event is not None and len(events) < limit:
            events.append(event)
            event = self._events.get(after + 1 + len(events))
        return events

    def peek(self, position: int) -> Event | None:
        """An event, if it is in the cache."""
        return self._events.get(position)

    async def get(self, position: int) -> Event | None:
        """An event from the cache, else from the log; None: archived or never there."""
        found = self._events.get(position)
        if found is not None:
            return found
        entry = await self._log.get(position)
        if entry is None:
            return None
        event = event_of(entry)
        self.put(event)
        return event

    def forget(self, until: int) -> None:
        """Drop everything, and keep nothing up to here before ``resume``: it is being erased (S8b).

        Whoever has read a page of the log before a part of it was erased puts it here afterwards.
        """
        self._events.clear()
        self._bytes = 0
        self.forgotten += 1
        self._withheld_until = max(until, self._withheld_until)

    def resume(self) -> None:
        """Keep everything again."""
        self._withheld_until = 0


def _size(event: Event) -> int:
    """About what it takes with its attributes and, once it was sent, the message made of it."""
    return 3 * len(event.entry.envelope or b"") + _OWN_BYTES
