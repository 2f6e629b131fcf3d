"""All lanes of this process: made when there is work, started as far as the bounds allow, dropped when idle (S2)."""

from collections import deque
from collections.abc import Callable, Iterator

from gateway.deliver.directory import Current, Directory
from gateway.deliver.journal import Checkpoint
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.ports import CursorUpdate, Now

CONCURRENCY = 32

Start = Callable[[Lane, PendingDelivery], None]


class Lanes:
    """The lanes by subscription number, and the position up to which the router has fed the live ones."""

    def __init__(self, directory: Directory, now: Now, limits: Limits = DEFAULT_LIMITS) -> None:
        self._directory = directory
        self._now = now
        self._limits = limits
        self._lanes: dict[int, Lane] = {}
        self._joined: set[int] = set()
        self._moved: set[int] = set()
        self._stalled: deque[int] = deque()
        self._in_flight = 0
        self.routed = 0
        self.start: Start = _not_started
        self.blocked: Callable[[], bool] = lambda: False
        self.stopping = False

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def get(self, number: int) -> Lane | None:
        """The lane, where there is one."""
        return self._lanes.get(number)

    def open(self, current: Current, *, waiting: int = 0) -> Lane:
        """Make the lane of a subscription that has none: live where it was live, else at its own cursor."""
        record = current.record
        live = current.active and (record.live or record.number in self._joined)
        lane = Lane(
            record.number,
            # A live one has dispatched up to the router, and a little further if the router had to go back
            # (S2c).
            seen=max(record.cursor, self.routed) if live or record.number in self._joined else record.cursor,
            live=live,
            concurrency=concurrency_of(current),
            waiting=waiting,
            queue_max=self._limits.queue_max,
            pending_max=self._limits.pending_max,
        )
        lane.halted = not current.active
        self._lanes[lane.number] = lane
        self._mark(lane)
        return lane

    def follow(self, current: Current) -> None:
        """Take in a subscription at the start: one that is live and has nothing open needs no lane yet."""
        record = current.record
        if record.live and current.active and not record.pending and record.cursor <= self.routed:
            self._joined.add(record.number)
        else:
            self.open(current, waiting=record.pending)

    def drop(self, number: int) -> None:
        """Forget the lane of a deleted subscription; what is in flight ends by itself, and starts nothing more."""
        lane = self._lanes.pop(number, None)
        if lane is not None:
            lane.halt(self.routed)
        self._joined.discard(number)
        self._moved.discard(number)

    def live(self, number: int) -> Lane | None:
        """The lane that the router may feed; None where the subscription stands or goes by its own scan."""
        lane = self._lanes.get(number)
        if lane is None:
            current = self._directory.get(number)
            if current is None:
                return None
            # One that was stopped just now as well: its lane keeps where it stood while the router goes on.
            lane = self.open(current)
        return lane if lane.live and not lane.halted else None

    def scanning(self) -> list[Lane]:
        """The lanes that read the log on their own and may go on."""
        return [lane for lane in self._lanes.values() if not lane.live and not lane.halted]

    def demote(self, lane: Lane) -> None:
        """Let a lane that cannot keep up go on by scanning, so that it holds nobody back (S2b)."""
        lane.demote(self.routed)
        self._mark(lane)
        self.moved(lane)

    def halt(self, lane: Lane) -> None:
        """Let a lane stand still where it is (S3f, S3h)."""
        lane.halt(self.routed)
        self._mark(lane)
        self.moved(lane)

    def join(self) -> None:
        """Between two batches of the router: make live what has caught up (S2f)."""
        for lane in self.scanning():
            # Before the router has passed the fact that made it, it would feed this lane nothing.
            if lane.number in self._directory.index and lane.join(self.routed):
                self._mark(lane)
                self.moved(lane)

    def moved(self, lane: Lane) -> None:
        """Note that a cursor is to be written."""
        self._moved.add(lane.number)

    def _mark(self, lane: Lane) -> None:
        if lane.live:
            self._joined.add(lane.number)
        else:
            self._joined.discard(lane.number)

    def pump(self, lane: Lane) -> None:
        """Start whatever the lane and the process have room for."""
        now_us = self._now()
        if self.stopping:
            return
        while self._in_flight < self._limits.in_flight_max and not self.blocked():
            delivery = lane.start(now_us)
            if delivery is None:
                return
            self._in_flight += 1
            self._moved.add(lane.number)
            self.start(lane, delivery)
        if lane.number not in self._stalled:
            self._stalled.append(lane.number)

    def finished(self, lane: Lane) -> None:
        """An attempt has ended: go on with this lane, and with those that the process had no room for."""
        self._in_flight -= 1
        if not self._stalled:
            self.pump(lane)
            return
        # Others wait for this room: it is their turn before it is this lane's again.
        if lane.number not in self._stalled and self._lanes.get(lane.number) is lane:
            self._stalled.append(lane.number)
        self.go_on()

    def go_on(self) -> None:
        """Pump the lanes that had to stop for want of room."""
        for _ in range(len(self._stalled)):
            if self._in_flight >= self._limits.in_flight_max or self.blocked():
                return
            lane = self._lanes.get(self._stalled.popleft())
            if lane is not None:
                self.pump(lane)

    def checkpoint(self) -> Checkpoint:
        """What the journal writes beside the outcomes. Lanes that have nothing left to do end here (S2g)."""
        cursors = []
        for number in self._moved:
            lane = self._lanes.get(number)
            if lane is not None:
                cursors.append(CursorUpdate(number, lane.cursor, lane.live))
        self._moved.clear()
        in_flight: list[PendingDelivery] = []
        routed = self.routed
        for lane in list(self._lanes.values()):
            in_flight += lane.in_flight
            first = lane.first_queued
            if lane.live and first is not None:
                routed = min(routed, first - 1)
            elif lane.live and lane.idle and not lane.pending and lane.seen <= self.routed:
                del self._lanes[lane.number]
        return Checkpoint(cursors, in_flight, routed)


def concurrency_of(current: Current) -> int:
    """How many attempts of a subscription may be in flight at once."""
    return current.record.spec.config.max_concurrency or CONCURRENCY


def _not_started(_lane: Lane, _delivery: PendingDelivery) -> None:
    raise RuntimeError("the lanes were fed before they had anything to start attempts with")
