"""Catching up: lanes that do not follow the router read the log from their own cursors (S2f).

A new subscription from the beginning, a resume, and a lane that overflowed are all this one thing. Reads are
shared by lanes that are near each other, and every lane gets its turn.
"""

from collections.abc import Sequence
from functools import partial

from gateway.deliver.directory import Directory
from gateway.deliver.envelopes import EnvelopeCache, Event, event_of
from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.patience import patiently
from gateway.deliver.selecting import selects
from gateway.deliver.signal import Signal
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.lane import Lane
from gateway.ports import EventLog

_POLL_S = 1.0


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
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._log = log
        self._directory = directory
        self._lanes = lanes
        self._cache = cache
        self._journal = journal
        self._caught_up = caught_up
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
            entries = await patiently(
                partial(self._log.read, after, self._limits.batch), "the log cannot be read"
            )
            routed = self._lanes.routed
            events = [event_of(entry) for entry in entries if entry.position <= routed]
            if events:
                self._share(events)

    def _next(self) -> Lane | None:
        """The next lane in turn that wants rows."""
        wanting = sorted(
            (lane for lane in self._lanes.scanning() if self._wants(lane)), key=lambda lane: lane.number
        )
        if not wanting:
            return None
        chosen = next((lane for lane in wanting if lane.number > self._last), wanting[0])
        self._last = chosen.number
        return chosen

    def _wants(self, lane: Lane) -> bool:
        return lane.seen < self._lanes.routed and lane.room >= lane.queue_max // 2

    def _share(self, events: Sequence[Event]) -> None:
        first, last = events[0].entry.position, events[-1].entry.position
        for lane in self._lanes.scanning():
            if first - 1 <= lane.seen < last and lane.room:
                self._feed(lane, events)

    def _feed(self, lane: Lane, events: Sequence[Event]) -> None:
        current = self._directory.get(lane.number)
        if current is None:
            return
        for event in events:
            position = event.entry.position
            if position <= lane.seen:
                continue
            if self._directory.routable(event) and selects(current.record, event):
                if not lane.offer(position):
                    break
                self._cache.put(event)
                continue
            lane.pass_over(position)
        self._lanes.moved(lane)
        self._journal.touch()
        self._lanes.pump(lane)
        if lane.seen >= self._lanes.routed:
            self._caught_up.set()
