"""When pending deliveries are due: the near ones in memory, all others in the database, found by index (S2g)."""

import heapq
import itertools
from collections.abc import Sequence

from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.patience import patiently
from gateway.deliver.signal import Signal
from gateway.deliver.suspects import Suspects, is_suspect
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.ids import NUMBER_MAX
from gateway.domain.pending import PendingDelivery
from gateway.ports import Deliveries, DueKey, Now

NEAR_US = 30_000_000
LOOK_S = 10.0
_TOGETHER = 512
_LOOKS = 4
_SECOND_US = 1_000_000


class Timers:
    """Hands deliveries that are due back to their lanes.

    Time is read window by window: what was due in a window that has been read is in memory, or its lane stood
    still then and reads its own again when it goes on. So a delivery is read once, and any number of them that
    wait for a slow or stopped sink never stand in the way of another's.
    """

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
        self._held: dict[tuple[int, int], PendingDelivery] = {}
        self._order = itertools.count()
        self._wakes: dict[int, int] = {}
        self._moments: list[tuple[int, int]] = []
        self._resumed: dict[int, None] = {}
        self._reading: tuple[list[int], DueKey | None] = ([], None)
        self.suspects = Suspects(lanes, self._hand_over)
        self._wake = Signal()
        self._read_to = DueKey(0, 0, 0)
        self._look_at_us = 0

    def add(self, delivery: PendingDelivery) -> None:
        """A delivery waits for its next attempt. One that is far off is left to the database."""
        due_us = delivery.next_at_us
        if due_us is None or due_us - self._now() > NEAR_US:
            self._held.pop(delivery.key, None)
            return
        self._hold(delivery, due_us)

    def forget(self, key: tuple[int, int]) -> None:
        """A delivery is no longer waited for here: something else has taken it up."""
        self._held.pop(key, None)

    def lane_wakes(self, number: int, at_us: int) -> None:
        """A whole lane may go on then (a wait, a rate, a batch that is old enough, a probe): look at it again."""
        earlier = self._wakes.get(number)
        if earlier is None or at_us < earlier:
            self._wakes[number] = at_us
            heapq.heappush(self._moments, (at_us, number))
            self._wake.set()

    def resumed(self, number: int) -> None:
        """A lane goes on: what came due while it stood still is to be read."""
        self._resumed[number] = None
        self._look_at_us = 0

    @property
    def wants_look(self) -> bool:
        """Whether it is time to read what becomes due."""
        return self._now() >= self._look_at_us

    async def look_ahead(self) -> None:
        """Read what becomes due before the next look. Called between two commits of the journal, never beside one."""
        now_us = self._now()
        until_us = now_us + NEAR_US
        more = await self._read_resumed(until_us)
        last = await self._read(until_us, after=self._read_to)
        self._read_to = last or DueKey(until_us, NUMBER_MAX, NUMBER_MAX)
        # What the window covers and the journal has not written yet is not in the database to be read.
        for delivery in self._journal.waiting:
            if delivery.next_at_us is not None and delivery.next_at_us <= until_us:
                self._take_in(delivery)
        at_once = more or last is not None or self._resumed  # what was resumed meanwhile, too
        self._look_at_us = 0 if at_once else now_us + int(LOOK_S * _SECOND_US)

    async def run(self) -> None:
        """Wake lanes until cancelled."""
        while True:
            now_us = self._now()
            while self._heap and self._heap[0][0] <= now_us:
                _, _, delivery = heapq.heappop(self._heap)
                if self._held.get(delivery.key) is not delivery:
                    continue  # it was put off, brought forward or taken up since
                if is_suspect(delivery):
                    self.suspects.add(delivery)
                else:
                    self._hand_over(delivery)
            for number in self._woken(now_us):
                lane = self._lanes.get(number)
                if lane is not None:
                    self._lanes.pump(lane)
            await self._wake.wait(self._sleep_s(now_us))

    def _hand_over(self, delivery: PendingDelivery) -> None:
        if self._held.pop(delivery.key, None) is None:
            return
        lane = self._lanes.obtain(delivery.number)
        if lane is not None and not lane.holds(delivery.position):
            lane.due(delivery, counted=not delivery.asked, now_us=self._now())
            self._lanes.pump(lane)

    def _woken(self, now_us: int) -> list[int]:
        """The lanes that are to be looked at by now."""
        woken = []
        while self._moments and self._moments[0][0] <= now_us:
            at_us, number = heapq.heappop(self._moments)
            if self._wakes.get(number) == at_us:  # else it was brought forward since
                del self._wakes[number]
                woken.append(number)
        return woken

    async def _read_resumed(self, until_us: int) -> bool:
        """Take in what came due while lanes stood still, many of them at once; whether there is more of it."""
        for _ in range(_LOOKS):
            numbers, after = self._reading
            if not numbers:
                numbers = list(itertools.islice(self._resumed, _TOGETHER))
                for number in numbers:
                    del self._resumed[number]
            if not numbers:
                return False
            # One that is resumed once more from here on is read once more.
            self._reading = (numbers, after)
            last = await self._read(until_us, after=after, numbers=numbers)
            self._reading = ([], None) if last is None else (numbers, last)
        return True

    async def _read(
        self, until_us: int, *, after: DueKey | None, numbers: Sequence[int] | None = None
    ) -> DueKey | None:
        """Take in one page. Returns where it ended if it was full, so that more may follow; else None."""
        rows = await patiently(
            lambda: self._deliveries.due(until_us, self._rows_max, after=after, numbers=numbers),
            "deliveries that are due cannot be read",
        )
        for delivery in rows:
            if not self._journal.unwritten((delivery.number, delivery.position)):
                self._take_in(delivery)
        if len(rows) < self._rows_max:
            return None
        return DueKey(rows[-1].next_at_us or 0, rows[-1].number, rows[-1].position)

    def _take_in(self, delivery: PendingDelivery) -> None:
        lane = self._lanes.obtain(delivery.number)
        if lane is None or lane.halted or delivery.next_at_us is None:
            return
        held = self._held.get(delivery.key)
        if lane.holds(delivery.position):
            lane.asked(delivery)
            return
        if held is not None and (held.next_at_us, held.request) == (delivery.next_at_us, delivery.request):
            return
        self._hold(delivery, delivery.next_at_us)

    def _hold(self, delivery: PendingDelivery, due_us: int) -> None:
        self._held[delivery.key] = delivery
        heapq.heappush(self._heap, (due_us, next(self._order), delivery))
        self._wake.set()

    def _sleep_s(self, now_us: int) -> float:
        moments = [heap[0][0] for heap in (self._heap, self._moments) if heap]
        if not moments:
            return LOOK_S
        return min(LOOK_S, max(0.0, (min(moments) - now_us) / _SECOND_US))
