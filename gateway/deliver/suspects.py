"""Deliveries that two processes ended on, started one at a time (S3c).

Whatever was in flight beside the culprit has a crash to its name as well. Alone, the third one tells which it
was: only that delivery is parked, and the others are delivered.
"""

from collections import deque
from collections.abc import Callable

import anyio

from gateway.deliver.lanes import Lanes
from gateway.deliver.signal import Signal
from gateway.domain.pending import PendingDelivery

CRASHES_MAX = 3
_ALONE_S = 20.0
_LOOK_S = 10.0
_POLL_S = 0.01


def is_suspect(delivery: PendingDelivery) -> bool:
    """Whether one more crash would park it."""
    return delivery.crashes >= CRASHES_MAX - 1


class Suspects:
    """Hands suspects to their lanes, each after the one before it has been settled."""

    def __init__(self, lanes: Lanes, hand_over: Callable[[PendingDelivery], None]) -> None:
        self._lanes = lanes
        self._hand_over = hand_over
        self._queue: deque[PendingDelivery] = deque()
        self._wake = Signal()

    def add(self, delivery: PendingDelivery) -> None:
        """This one is due, and waits for its turn."""
        self._queue.append(delivery)
        self._wake.set()

    async def run(self) -> None:
        """Start them until cancelled. A stream that stands still makes the others wait 20 s at most."""
        while True:
            while self._queue:
                together = self._take()
                for delivery in together:
                    self._hand_over(delivery)
                with anyio.move_on_after(_ALONE_S):
                    while any(self._is_open(delivery) for delivery in together):
                        await anyio.sleep(_POLL_S)
            await self._wake.wait(_LOOK_S)

    def _take(self) -> list[PendingDelivery]:
        """The next one, with all that is sent in one POST with it (S10a)."""
        first = self._queue.popleft()
        if first.batch is None:
            return [first]
        together = [item for item in self._queue if (item.number, item.batch) == (first.number, first.batch)]
        self._queue = deque(item for item in self._queue if item not in together)
        return [first, *together]

    def _is_open(self, delivery: PendingDelivery) -> bool:
        lane = self._lanes.get(delivery.number)
        return lane is not None and not lane.halted and lane.holds(delivery.position)
