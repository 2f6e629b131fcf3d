"""Catching up: lanes that do not follow the router read the log from their own cursors (S2f).

A new subscription from the beginning, a resume, and a lane that overflowed are all this one thing. Reads are
shared by lanes that are near each other, and every lane gets its turn.
"""

from collections.abc import Sequence
from functools import partial

import anyio.lowlevel

from gateway.deliver.directory import Directory
from gateway.deliver.envelopes import EnvelopeCache, Event, event_of, partition_key
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.patience import patiently
from gateway.deliver.selecting import awaits
from gateway.deliver.signal import Signal
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.lane import Lane
from gateway.ports import EventLog, Now, SubscriptionRecord

_POLL_S = 1.0
_TURN = 5_000
"""Entries, for each lane that looks at them, after which others have their turn."""
_MANY = 16
"""Lanes that share a read, from which on the index is asked for them all."""
_GAPS_MAX = 50_000
"""Likewise: what the router waits for between two batches at most."""


class CatchUp:
    """Feeds the lanes that are not live, up to where the router is."""

    def __init__(
        self,
        log: EventLog,
        directory: Directory,
        lanes: Lanes,
        cache: EnvelopeCache,
        journal: Journal,
        *,
        caught_up: Signal,
        now: Now,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._log = log
        self._directory = directory
        self._lanes = lanes
        self._cache = cache
        self._journal = journal
        self._caught_up = caught_up
        self._now = now
        self._limits = limits
        self._last = 0
        self.wake = Signal()

    async def run(self) -> None:
        """Scan until cancelled."""
        while True:
            lane = self._next()
            if lane is None:
                await self.wake.wait(_POLL_S)
                continue
            after = lane.seen
            events = self._cache.following(after, self._limits.batch)
            if events:
                await (
                    anyio.lowlevel.checkpoint()
                )  # a scan that never waits would leave no turn to what it feeds
            else:
                events = await self._read(after)
            routed = self._lanes.routed
            events = [event for event in events if event.entry.position <= routed]
            if events:
                await self._share(events)

    def close_gaps(self) -> None:
        """Feed the lanes that are a step behind the router, from memory, so that they can join it (S2f).

        Between two batches of the router nothing else happens: under a steady flow a scan of its own would come to
        where the router was, and never to where it is.
        """
        routed, left = self._lanes.routed, _GAPS_MAX
        for lane in self._lanes.scanning():
            gap = routed - lane.seen
            if 0 < gap <= self._limits.batch and self._wants(lane):
                left -= gap
                if left < 0:
                    return  # the others come nearer by scans, and their turn comes as these join
                events = self._cache.following(lane.seen, gap)
                if len(events) == gap:
                    self._feed(lane, events)

    async def _read(self, after: int) -> list[Event]:
        entries = await patiently(
            partial(self._log.read, after, self._limits.batch), "the log cannot be read"
        )
        return [event_of(entry) for entry in entries]

    def _next(self) -> Lane | None:
        """The next lane in turn that wants rows."""
        wanting = [lane for lane in self._lanes.scanning() if self._wants(lane)]
        if not wanting:
            return None
        # Behind the one that had its turn last, and around.
        chosen = min(wanting, key=lambda lane: (lane.number <= self._last, lane.number))
        self._last = chosen.number
        return chosen

    def _wants(self, lane: Lane) -> bool:
        if lane.seen >= self._lanes.routed or not lane.wants_rows(self._now()):
            return False
        return self._directory.get(lane.number) is not None  # its end may not have come to the lane yet

    async def _share(self, events: Sequence[Event]) -> None:
        first, last, fed = events[0].entry.position, events[-1].entry.position, 0
        lanes = [
            lane for lane in self._lanes.scanning() if first - 1 <= lane.seen < last and self._wants(lane)
        ]
        found = self._find(lanes, events) if len(lanes) >= _MANY else {}
        waited = False
        for lane in lanes:
            # What others did in their turn may have changed what was looked at before it.
            if waited and not (
                self._lanes.scans(lane) and first - 1 <= lane.seen < last and self._wants(lane)
            ):
                continue
            current, its = self._directory.get(lane.number), found.get(lane.number)
            if its is not None and current is not None and _is_one(current.record, first):
                self._feed(lane, its, until=last)
                fed += 1 + len(its)
            else:
                self._feed(lane, events)
                fed += len(events)
            if fed >= _TURN:
                # Thousands may be resumed at once: whatever else goes on goes on between them.
                fed, waited = 0, True
                await anyio.lowlevel.checkpoint()

    def _find(self, lanes: Sequence[Lane], events: Sequence[Event]) -> dict[int, list[Event]]:
        """Who of very many wants which of these: one look into the index for each event, and not one for each of them.

        Left out are those whose selection in force there may not be the one in the index.
        """
        first, found = events[0].entry.position, dict[int, list[Event]]()
        for lane in lanes:
            current = self._directory.get(lane.number)
            if (
                current is not None
                and lane.number in self._directory.index
                and _is_one(current.record, first)
            ):
                found[lane.number] = []
        for event in events:
            if event.envelope is None:
                continue
            addressee, attributes = event.entry.addressee, event.envelope.attributes
            matching = (
                self._directory.index.matching(attributes, event.entry.organization)
                if addressee is None
                else (addressee,)
            )
            for number in matching:
                if number in found:
                    found[number].append(event)
        return found

    def _feed(self, lane: Lane, events: Sequence[Event], *, until: int = 0) -> None:
        """Offer what it awaits of these; ``until``: nothing else up to there is for it."""
        current = self._directory.get(lane.number)
        if current is None:
            return
        record, feed = current.record, lane.feed
        for event in events:
            position = event.entry.position
            if position <= feed.seen:
                continue
            if awaits(record, event) and self._directory.routable(event):
                if not self._offer(lane, event):
                    break
                continue
            lane.pass_over(position)
        else:
            lane.pass_over(until)
        self._lanes.moved(lane)
        self._journal.touch()
        if lane.queued:
            self._lanes.pump(lane)
        if lane.seen >= self._lanes.routed:
            self._caught_up.set()

    def _offer(self, lane: Lane, event: Event) -> bool:
        envelope, position = event.envelope, event.entry.position
        if envelope is None or not lane.offer(
            position, partition_key(envelope), size_bytes=len(envelope.raw), now_us=event.entry.appended_at_us
        ):
            return False
        self._cache.put(event)
        return True


def _is_one(record: SubscriptionRecord, position: int) -> bool:
    """Whether one selection is in force from this position on: the one that the index has."""
    return len(record.revisions) == 1 or record.revisions[-1].position < position
