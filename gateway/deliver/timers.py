"""When pending deliveries are due: the near ones in memory, all others in the database, found by index (S2g)."""

import heapq
import itertools

from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.signal import Signal
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.lane import PendingDelivery
from gateway.ports import Deliveries, Now

NEAR_US = 30_000_000
LOOK_S = 10.0
_SECOND_US = 1_000_000


class Timers:
    """Hands deliveries that are due back to their lanes."""

    def __init__(
        self,
        deliveries: Deliveries,
        lanes: Lanes,
        journal: Journal,
        now: Now,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._deliveries = deliveries
        self._lanes = lanes
        self._journal = journal
        self._now = now
        self._rows_max = limits.due_rows_max
        self._heap: list[tuple[int, int, PendingDelivery]] = []
        self._held: set[tuple[int, int]] = set()
        self._order = itertools.count()
        self._pauses: dict[int, int] = {}
        self._wake = Signal()
        self._look_at_us = 0

    def add(self, delivery: PendingDelivery) -> None:
        """A delivery waits for its next attempt. One that is far off is left to the database."""
        due_us = delivery.next_at_us
        if due_us is None or due_us - self._now() > NEAR_US:
            return
        self._held.add((delivery.number, delivery.position))
        heapq.heappush(self._heap, (due_us, next(self._order), delivery))
        self._wake.set()

    def lane_waits(self, number: int, until_us: int) -> None:
        """A whole lane waits (429): look at it again then."""
        self._pauses[number] = until_us
        self._wake.set()

    def look(self) -> None:
        """Look into the database soon: a resume made deliveries due."""
        self._look_at_us = 0
        self._wake.set()

    @property
    def wants_look(self) -> bool:
        """Whether it is time to read what becomes due."""
        return self._now() >= self._look_at_us

    async def look_ahead(self) -> None:
        """Read what becomes due before the next look. Called between two commits of the journal, never beside one."""
        now_us = self._now()
        rows = await self._deliveries.due(now_us + NEAR_US, self._rows_max)
        for delivery in rows:
            key = (delivery.number, delivery.position)
            lane = self._lanes.get(delivery.number)
            if lane is None or key in self._held or lane.holds(delivery.position):
                continue
            if not self._journal.unwritten(key):
                self.add(delivery)
        # A full page means that more is due already.
        self._look_at_us = 0 if len(rows) == self._rows_max else now_us + int(LOOK_S * _SECOND_US)

    async def run(self) -> None:
        """Wake lanes until cancelled."""
        while True:
            now_us = self._now()
            while self._heap and self._heap[0][0] <= now_us:
                _, _, delivery = heapq.heappop(self._heap)
                self._held.discard((delivery.number, delivery.position))
                lane = self._lanes.get(delivery.number)
                if lane is not None:
                    lane.due(delivery)
                    self._lanes.pump(lane)
            for number, until_us in list(self._pauses.items()):
                if until_us <= now_us:
                    del self._pauses[number]
                    lane = self._lanes.get(number)
                    if lane is not None:
                        self._lanes.pump(lane)
            await self._wake.wait(self._sleep_s(now_us))

    def _sleep_s(self, now_us: int) -> float:
        moments = [self._heap[0][0]] if self._heap else []
        moments += self._pauses.values()
        if not moments:
            return LOOK_S
        return min(LOOK_S, max(0.0, (min(moments) - now_us) / _SECOND_US))
