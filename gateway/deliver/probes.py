"""While a breaker is open, the oldest pending delivery is what the sink is tried with (S3g)."""

import anyio

from gateway.deliver.journal import Journal
from gateway.deliver.lanes import Lanes
from gateway.deliver.patience import patiently
from gateway.deliver.signal import Signal
from gateway.deliver.timers import Timers
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.ports import Deliveries, Now

_LOOK_S = 10.0
_AGAIN_S = 1.0


class Probes:
    """Brings probes from the database: what waits for a far-off retry is nowhere else."""

    def __init__(
        self,
        deliveries: Deliveries,
        lanes: Lanes,
        journal: Journal,
        timers: Timers,
        *,
        now: Now,
        wants_rows: Signal,
    ) -> None:
        self._deliveries = deliveries
        self._lanes = lanes
        self._journal = journal
        self._timers = timers
        self._now = now
        self._wants_rows = wants_rows
        self._asked: set[int] = set()
        self._wake = Signal()

    def ask(self, lane: Lane) -> None:
        """A probe of this lane is due, and it has nothing at hand to try."""
        if lane.wants_probe(self._now()):
            self._asked.add(lane.number)
            self._wake.set()
        else:
            self._wants_rows.set()

    async def run(self) -> None:
        """Bring probes until cancelled."""
        while True:
            asked, self._asked = self._asked, set()
            for number in sorted(asked):
                lane = self._lanes.get(number)
                if lane is not None and lane.wants_probe(self._now()):
                    await self._bring(lane)
            if self._asked:
                await anyio.sleep(_AGAIN_S)
            else:
                await self._wake.wait(_LOOK_S)

    async def _bring(self, lane: Lane) -> None:
        # An open breaker starts nothing, so that behind this commit the database knows all there is to know.
        await self._journal.written()
        found = await self._oldest(lane.number)
        if not lane.wants_probe(self._now()) or self._lanes.get(lane.number) is not lane:
            return
        if not found:
            lane.nothing_waits()
        for delivery in found:
            if not lane.holds(delivery.position):
                self._timers.forget(delivery.key)
                lane.due(delivery, counted=not delivery.asked, now_us=self._now())
        self._lanes.pump(lane)

    async def _oldest(self, number: int) -> list[PendingDelivery]:
        oldest = await patiently(lambda: self._deliveries.oldest(number), "a probe cannot be read")
        if oldest is None or oldest.batch is None:
            return [] if oldest is None else [oldest]
        batch = oldest.batch
        return list(await patiently(lambda: self._deliveries.batch(number, batch), "a probe cannot be read"))
