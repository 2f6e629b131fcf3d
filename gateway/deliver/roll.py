"""The lanes that there are, and which of them go alike (S2g).

Nothing that happens for an event, for a batch of them or several times a second goes through all lanes, much less
through all subscriptions: whoever looks for lanes that scan, that replay, that hold the router's restart back or that
have something in flight finds those, and no others.
"""

from collections.abc import Iterator

from gateway.deliver.rest import AtRest
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.replay import ReplayFeed


class Roll:
    """The lanes by subscription number, and what is known of the streams without one."""

    def __init__(self) -> None:
        self.rest = AtRest()
        self._lanes: dict[int, Lane] = {}
        self._scanning: dict[int, Lane] = {}
        self._replaying: dict[int, Lane] = {}
        self._fed: dict[int, Lane] = {}
        self._busy: dict[int, Lane] = {}
        self._moved: set[int] = set()

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def get(self, number: int) -> Lane | None:
        """The lane, where there is one."""
        return self._lanes.get(number)

    def is_here(self, lane: Lane) -> bool:
        """Whether this is the lane of its subscription, and not one that has gone."""
        return self._lanes.get(lane.number) is lane

    def add(self, lane: Lane) -> None:
        """There is one more."""
        self._lanes[lane.number] = lane
        self.mark(lane)
        self.moved(lane)

    def remove(self, lane: Lane) -> None:
        """It goes away."""
        for lanes in (self._lanes, self._scanning, self._replaying, self._fed, self._busy):
            lanes.pop(lane.number, None)
        self._moved.discard(lane.number)

    # Which way a lane goes on.

    def mark(self, lane: Lane) -> None:
        """To be called whenever it may go on in another way: live, by scanning, or not at all."""
        number = lane.number
        if not self.is_here(lane):
            return  # it was deleted, and what was in flight has ended
        if lane.live:
            self.rest.following.add(number)
        else:
            self.rest.following.discard(number)
        if lane.live or lane.halted or lane.breaker.open:
            self._scanning.pop(number, None)
        else:
            self._scanning[number] = lane

    def scanning(self) -> list[Lane]:
        """The lanes that read the log on their own and may go on; of those with an open breaker, who need a probe."""
        return list(self._scanning.values())

    def scans(self, lane: Lane) -> bool:
        """Whether this lane is one of those."""
        return self._scanning.get(lane.number) is lane

    def wants_probe_from_log(self, lane: Lane) -> None:
        """Its breaker lets one through, and nothing of it is pending: it is tried with what comes next (S3g)."""
        self._scanning[lane.number] = lane

    # What a lane has.

    def moved(self, lane: Lane) -> None:
        """Note that a cursor is to be written, and that this lane may have nothing left to do."""
        self._moved.add(lane.number)

    def take_moved(self) -> list[Lane]:
        """The lanes that have moved since this was asked last."""
        moved, self._moved = self._moved, set()
        return [lane for number in moved if (lane := self._lanes.get(number)) is not None]

    def fed(self, lane: Lane) -> None:
        """The router has queued something in a live lane: until it starts, it holds the router's restart back (S2b)."""
        self._fed[lane.number] = lane

    def holding_back(self) -> list[tuple[Lane, int]]:
        """The live lanes that have something queued, each with the first position of it."""
        found = []
        for lane in list(self._fed.values()):
            first = lane.first_queued
            if lane.live and first is not None:
                found.append((lane, first))
            else:
                del self._fed[lane.number]
        return found

    def busy(self, lane: Lane) -> None:
        """It has started something."""
        self._busy[lane.number] = lane

    def in_flight(self) -> list[PendingDelivery]:
        """What all lanes have started and not settled."""
        found: list[PendingDelivery] = []
        for lane in list(self._busy.values()):
            if lane.in_flight:
                found += lane.in_flight
            else:
                del self._busy[lane.number]
        return found

    def add_replay(self, lane: Lane, replay: ReplayFeed) -> None:
        """Feed a replay from now on."""
        lane.add_replay(replay)
        self._replaying[lane.number] = lane

    def end_replay(self, lane: Lane, replay: int) -> None:
        """Feed it no more; what it has started goes on."""
        lane.end_replay(replay)
        if not lane.replays:
            self._replaying.pop(lane.number, None)
        self.moved(lane)

    def replaying(self) -> list[tuple[Lane, ReplayFeed]]:
        """The replays of this process."""
        return [(lane, replay) for lane in self._replaying.values() for replay in lane.replays]
