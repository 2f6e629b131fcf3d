"""How the streams of this process stand, for figures: a look over the lanes, in steps that hold nothing up."""

import anyio.lowlevel

from gateway.deliver.directory import Directory
from gateway.deliver.lanes import Lanes
from gateway.domain.lane import Lane
from gateway.domain.stream_figures import Stance, StreamFigures
from gateway.ports import Now

_STEP = 1_000
"""Lanes that are looked at before others get their turn."""


class Standing:
    """Asked whenever somebody wants to see it; costs nothing in between."""

    def __init__(self, directory: Directory, lanes: Lanes, now: Now) -> None:
        self._directory = directory
        self._lanes = lanes
        self._now = now

    async def figures(self, head: int) -> StreamFigures:
        """All streams, of a log that ends at ``head``."""
        found, lanes, active = StreamFigures(), list(self._lanes), 0
        for number, lane in enumerate(lanes):
            if number % _STEP == _STEP - 1:
                await anyio.lowlevel.checkpoint()
            stance = self._stance(lane)
            current = self._directory.get(lane.number)
            active += current is not None and current.active
            found.add(stance, reached=min(head, self._lanes.reached(lane)), head=head)
            found.pending += lane.pending
            found.queued += lane.queued
        # Those without a lane follow the router with nothing open, also before their first event, or stand (S2g).
        at_rest = max(0, self._directory.active - active)
        routed = min(head, self._lanes.routed)
        found.add_alike(Stance.FOLLOWING, at_rest, reached=routed, head=head)
        stopped = self._directory.count - len(lanes) - at_rest
        found.add_alike(Stance.STOPPED, stopped, reached=head, head=head)
        return found

    def _stance(self, lane: Lane) -> Stance:
        if lane.halted:
            return Stance.STOPPED
        if lane.breaker.open:
            return Stance.BREAKER_OPEN
        if lane.waits_until_us > self._now():
            return Stance.WAITING
        if lane.backlogged:
            return Stance.BACKLOGGED
        return Stance.FOLLOWING if lane.live else Stance.CATCHING_UP
