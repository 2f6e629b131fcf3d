"""The router: one pass over new rows of the log for all subscriptions (S2)."""

from collections import deque
from collections.abc import Callable, Sequence

import anyio
import anyio.lowlevel

from gateway.deliver.directory import Directory
from gateway.deliver.envelopes import EnvelopeCache, Event, event_of, partition_key
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.patience import patiently
from gateway.deliver.signal import Signal
from gateway.deliver.spans import DeliverySpans
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.facts import (
    ABOUT_SUBSCRIPTIONS,
    SUBSCRIPTION_CREATED,
    SUBSCRIPTION_DELETED,
    SUBSCRIPTION_UPDATED,
)
from gateway.domain.lane import Lane
from gateway.ports import Entry, EventLog, Kind
from schemas import GATEWAY_TYPE_PREFIX, Envelope

_POLL_S = 1.0
HANDED_MAX = 5_000
"""Events that wait here to be routed; the log holds them all the same."""
_UPDATED = GATEWAY_TYPE_PREFIX + SUBSCRIPTION_UPDATED
_DELETED = GATEWAY_TYPE_PREFIX + SUBSCRIPTION_DELETED
_FACT = Kind.FACT
"""Looked at for each event: a name costs less than a member of an enumeration."""
_SELECTING = frozenset({GATEWAY_TYPE_PREFIX + SUBSCRIPTION_CREATED, _UPDATED})


class Router:
    """Feeds the live lanes in log order."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        lanes: Lanes,
        cache: EnvelopeCache,
        journal: Journal,
        *,
        changed: Callable[[int], None],
        limits: Limits = DEFAULT_LIMITS,
        spans: DeliverySpans | None = None,
    ) -> None:
        self._spans = spans
        self._log = log
        self._directory = directory
        self._lanes = lanes
        self._cache = cache
        self._journal = journal
        self._changed = changed
        self._limits = limits
        self._heads: dict[int, int] = {}
        self._batching: dict[int, Lane] = {}
        self._handed: deque[Event] = deque()
        self._unread = True
        """Whether the log has what nobody has handed over: a fact, what did not fit, more than a page of it."""
        self._read_at = 0.0
        self.between_batches: Callable[[], None] = lambda: None
        self.wake = Signal()
        self.advanced = Signal()

    def take(self, events: Sequence[Event], until: int) -> None:
        """What this process has just appended up to a position, as the door has read it: it need not be read again.

        What is missing there, or does not fit, is read from the log.
        """
        if len(self._handed) < HANDED_MAX and events and events[-1].entry.position == until:
            self._handed.extend(events)
        else:
            self._unread = True
        self.wake.set()

    def look(self) -> None:
        """The log has grown by what nobody hands over, such as a fact."""
        self._unread = True
        self.wake.set()

    async def run(self) -> None:
        """Route until cancelled: at once when told of an append, else by looking once a second.

        The log is read where nothing was handed over: a look on the off chance, in the middle of a stream, would find
        what has just been written and not been handed over yet, and be a batch ahead of that from then on.
        """
        while True:
            events = self._next_handed()
            # What was handed over may stand behind a gap; and nobody tells of what another process appends.
            if not events and (self._unread or self._handed or self._unread_for_s() >= _POLL_S):
                self._unread, self._read_at = False, anyio.current_time()
                events = await self._read()
                self._unread |= len(events) == self._limits.batch
            await self._prepare(events)
            # Before the batch as well: under a steady flow a scan never finds the router at its end.
            self.between_batches()
            self._lanes.join()
            for event in events:
                if event.entry.kind is _FACT:
                    await self._pass(event)
                self._route(event)
            for number, lane in self._batching.items():
                if self._lanes.get(number) is lane:
                    self._lanes.pump(lane)
            self._batching.clear()
            self._lanes.join()
            if events:
                self._journal.touch()
                self.advanced.set()
                self._demote_behind()
                await anyio.lowlevel.checkpoint()
            if not (self._unread or self._handed):
                left_s = max(0.0, _POLL_S - self._unread_for_s())
                if not await self.wake.wait(left_s):
                    self._unread = True

    def _unread_for_s(self) -> float:
        return anyio.current_time() - self._read_at

    def _next_handed(self) -> list[Event]:
        """What was handed over and follows at once what is routed."""
        handed, following = self._handed, self._lanes.routed + 1
        while handed and handed[0].entry.position < following:
            handed.popleft()
        events: list[Event] = []
        while handed and handed[0].entry.position == following and len(events) < self._limits.batch:
            events.append(handed.popleft())
            following += 1
        return events

    async def _read(self) -> list[Event]:
        entries = await patiently(
            lambda: self._log.read(self._lanes.routed, self._limits.batch), "the log cannot be routed"
        )
        return [event_of(entry) for entry in entries]

    async def watch(self) -> None:
        """Demote a live lane whose first queued position has stood still for a second (S2b)."""
        while True:
            await anyio.sleep(_POLL_S)
            heads = {lane.number: first for lane, first in self._lanes.holding_back()}
            for number, first in heads.items():
                lane = self._lanes.get(number)
                if lane is not None and self._heads.get(number) == first:
                    self._demote(lane)
            self._heads = heads

    async def _prepare(self, events: Sequence[Event]) -> None:
        """Have the subscriptions at hand whose selection changes in this batch, which may be all there are."""
        changes = [
            (_subject(event), event.entry.position)
            for event in events
            if event.entry.kind is _FACT and event.entry.type == _UPDATED
        ]
        if changes:
            await self._directory.prepare(changes)

    async def _pass(self, event: Event) -> None:
        """A fact about a subscription changes what the index holds, from here on (S3d)."""
        type_ = event.entry.type
        if not type_.startswith(ABOUT_SUBSCRIPTIONS):
            return
        subject = _subject(event)
        if type_ == _DELETED:
            number = self._directory.ended(subject)
        else:
            # What it selects is as before, unless the fact says so: then it need not be read for this.
            known = None if type_ in _SELECTING else self._directory.number_of(subject)
            number = known or await self._directory.passed(subject, event.entry.position)
        if number is not None:
            self._changed(number)

    def _route(self, event: Event) -> None:
        self._cache.put(event)
        if event.envelope is not None and (event.entry.kind is not _FACT or self._directory.routable(event)):
            if self._spans is not None and self._spans.wants(event):
                started_us = self._spans.now()
                self._spans.matched(event, self._offer(event), started_us)
            else:
                self._offer(event)
        self._lanes.routed = event.entry.position

    def _offer(self, event: Event) -> int:
        """Give it to whoever wants it; how many streams do."""
        entry, envelope = event.entry, event.envelope
        if envelope is None:
            return 0
        position, now_us = entry.position, entry.appended_at_us
        key, size_bytes = partition_key(envelope), len(envelope.raw)
        numbers = self._addressed(entry, envelope)
        for number in numbers:
            lane = self._lanes.live(number)
            # Up to its own cursor a lane has dispatched before a restart what the router passes again (S2c).
            if lane is None or position <= lane.seen:
                continue
            if lane.offer(position, key, size_bytes=size_bytes, now_us=now_us):
                self._lanes.fed(lane)
                if lane.batching is not None:
                    self._batching[number] = lane  # what comes next may go with it
                elif lane.has_room:
                    self._lanes.pump(lane)
            else:
                self._demote(lane)
        return len(numbers)

    def _addressed(self, entry: Entry, envelope: Envelope) -> Sequence[int]:
        """Whom an event is for: whoever selects it, or the one that it is addressed to, a test (S3h)."""
        addressee = entry.addressee
        if addressee is not None:
            return (addressee,) if addressee in self._directory.index else ()
        return self._directory.index.matching(envelope.attributes, entry.organization)

    def _demote_behind(self) -> None:
        for lane, first in self._lanes.holding_back():
            if self._lanes.routed - first > self._limits.lag_max:
                self._demote(lane)

    def _demote(self, lane: Lane) -> None:
        self._lanes.demote(lane)
        self.advanced.set()


def _subject(event: Event) -> str:
    return "" if event.envelope is None else event.envelope.subject or ""
