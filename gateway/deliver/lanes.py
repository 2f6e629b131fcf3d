"""All lanes of this process: made when there is work, started as far as the bounds allow, dropped when idle (S2)."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from gateway.deliver.directory import Current, Directory
from gateway.deliver.journal import Checkpoint
from gateway.deliver.world import DEFAULT_LIMITS, Limits
from gateway.domain.batching import Batching
from gateway.domain.breaker import Breaker, StreamNote
from gateway.domain.due import Started
from gateway.domain.feed import Feed
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.rate import Rate
from gateway.domain.replay import ReplayFeed
from gateway.domain.subscription import Format, Ordering
from gateway.ports import CursorUpdate, Now, ReplayRecord, ReplayUpdate

CONCURRENCY = 32
BATCH_EVENTS = 100
BATCH_BYTES = 1024 * 1024
BATCH_AGE_S = 1.0
_SECOND_US = 1_000_000

Start = Callable[[Lane, Started], None]


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
        self._notes: dict[int, StreamNote] = {}
        self._heads: dict[int, list[PendingDelivery]] = {}
        self._replay_heads: dict[int, list[PendingDelivery]] = {}
        self.routed = 0
        self.start: Start = _not_started
        self.wakes: Callable[[int, int], None] = lambda _number, _at_us: None
        self.backlogged: Callable[[Lane], None] = lambda _lane: None
        self.hungry: Callable[[Lane], None] = lambda _lane: None
        self.probes: Callable[[Lane], None] = lambda _lane: None
        self.blocked: Callable[[], bool] = lambda: False
        self.stopping = False

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def get(self, number: int) -> Lane | None:
        """The lane, where there is one."""
        return self._lanes.get(number)

    def remember(self, notes: Iterable[StreamNote], heads: Iterable[PendingDelivery]) -> None:
        """What the process before this one left behind: failing streams, and keys that are blocked."""
        self._notes = {note.number: note for note in notes}
        for head in heads:
            if head.blocked_from is not None:
                self._heads.setdefault(head.number, []).append(head)
            if head.replay is not None:
                self._replay_heads.setdefault(head.replay, []).append(head)

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
            breaker=Breaker(self._notes.pop(record.number, None)),
        )
        configure(lane, current)
        _block(lane.feed, self._heads.pop(record.number, ()))
        if lane.breaker.open:
            lane.demote(self.routed)
        lane.halted = not current.active
        self._lanes[lane.number] = lane
        self._mark(lane)
        return lane

    def follow(self, current: Current) -> None:
        """Take in a subscription at the start: one that is live and has nothing open needs no lane yet."""
        record = current.record
        unwell = record.number in self._notes or record.number in self._heads
        if record.live and current.active and not (record.pending or unwell) and record.cursor <= self.routed:
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

    def obtain(self, number: int) -> Lane | None:
        """The lane of a subscription, made where it had nothing to do until now; None: it is deleted."""
        lane = self._lanes.get(number)
        if lane is None:
            current = self._directory.get(number)
            # One that was stopped just now as well: its lane keeps where it stood while the router goes on.
            return None if current is None else self.open(current)
        return lane

    def live(self, number: int) -> Lane | None:
        """The lane that the router may feed; None where the subscription stands or goes by its own scan."""
        lane = self.obtain(number)
        if lane is None:
            return None
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

    def replay(self, lane: Lane, record: ReplayRecord) -> None:
        """Let a replay go on where it was."""
        if record.replay in lane.replays:
            return
        feed = Feed(
            seen=max(record.cursor, record.range.from_position - 1),
            queue_max=self._limits.queue_max,
            covers=False,
        )
        _block(feed, self._replay_heads.pop(record.replay, ()))
        replay = ReplayFeed(record.replay, record.range.until_position, feed, open=record.open)
        lane.add_replay(replay)

    def reached(self, lane: Lane) -> int:
        """Everything that matches up to here has been dispatched: a live lane with nothing queued is at the router."""
        return max(lane.cursor, self.routed) if lane.live and not lane.queued else lane.cursor

    def replaying(self) -> list[tuple[Lane, ReplayFeed]]:
        """The replays of this process."""
        return [(lane, replay) for lane in self._lanes.values() for replay in lane.replays]

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
        while (started := self._next(lane)) is not None:
            self.start(lane, started)

    def finished(self, lane: Lane) -> Started | None:
        """An attempt has ended: what the same task is to try next, if it is this lane's turn."""
        self._in_flight -= 1
        if self._stalled:
            # Others wait for this room: it is their turn before it is this lane's again.
            if lane.number not in self._stalled and self._lanes.get(lane.number) is lane:
                self._stalled.append(lane.number)
            self.go_on()
            return None
        if self._lanes.get(lane.number) is not lane:
            return None
        following = self._next(lane)
        if following is not None and lane.has_room:
            self.pump(lane)
        return following

    def _next(self, lane: Lane) -> Started | None:
        if self.stopping:
            return None
        if self._in_flight >= self._limits.in_flight_max or self.blocked():
            if lane.number not in self._stalled:
                self._stalled.append(lane.number)
            return None
        now_us = self._now()
        started = lane.start(now_us)
        # Also where nothing was started: what stands behind a blocked key was passed by that look.
        self._moved.add(lane.number)
        if started is not None:
            self._in_flight += 1
            if not lane.live or lane.replays:
                self.hungry(lane)  # it is fed by scans, and has room now
            return started
        wakes_at_us = lane.wakes_at_us(now_us)
        if wakes_at_us is not None:
            self.wakes(lane.number, wakes_at_us)
        elif lane.breaker.probe_due(now_us):
            self.probes(lane)
        if lane.backlogged and lane.queued:
            self.backlogged(lane)
        return None

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
        cursors, notes = [], []
        for number in self._moved:
            lane = self._lanes.get(number)
            if lane is not None:
                cursors.append(CursorUpdate(number, lane.cursor, lane.live))
                if lane.breaker.changed:
                    lane.breaker.changed = False
                    notes.append(lane.breaker.note(number))
        self._moved.clear()
        replays = [ReplayUpdate(replay.replay, replay.feed.cursor) for _, replay in self.replaying()]
        in_flight: list[PendingDelivery] = []
        routed = self.routed
        for lane in list(self._lanes.values()):
            in_flight += lane.in_flight
            first = lane.first_queued
            if lane.live and first is not None:
                routed = min(routed, first - 1)
            elif lane.live and lane.idle and not lane.pending and lane.seen <= self.routed:
                del self._lanes[lane.number]
        return Checkpoint(cursors, in_flight, routed, replays, notes)


def concurrency_of(current: Current) -> int:
    """How many attempts of a subscription may be in flight at once."""
    return current.record.spec.config.max_concurrency or CONCURRENCY


def configure(lane: Lane, current: Current) -> None:
    """Bring a lane's bounds in line with what its subscription is now (S3d)."""
    config = current.record.spec.config
    lane.concurrency = concurrency_of(current)
    lane.ordered = config.ordering is Ordering.PARTITIONKEY
    per_second = _per_second(current)
    if per_second is None:
        lane.rate = None
    elif lane.rate is None or lane.rate.per_second != per_second:
        lane.rate = Rate(per_second)
    lane.batching = None
    if config.format is Format.BATCH:
        age_s = BATCH_AGE_S if config.batch_age_s is None else config.batch_age_s
        lane.batching = Batching(
            config.batch_events_max or BATCH_EVENTS,
            config.batch_bytes_max or BATCH_BYTES,
            int(age_s * _SECOND_US),
        )


def _per_second(current: Current) -> float | None:
    """The lower of what the subscriber asked for and what the sink allows (CONFORMANCE 30); None: neither."""
    asked, allowed = current.record.spec.config.max_per_second, current.record.consent.per_minute
    rates = [rate for rate in (asked, None if allowed is None else allowed / 60) if rate is not None]
    return min(rates, default=None)


def _block(feed: Feed, heads: Iterable[PendingDelivery]) -> None:
    for head in heads:
        if head.partition_key is not None:
            feed.block(head.partition_key, head.position)


def _not_started(_lane: Lane, _started: Started) -> None:
    raise RuntimeError("the lanes were fed before they had anything to start attempts with")
